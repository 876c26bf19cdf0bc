"""Answers about maps: how they score, how they move with the image, and whether they depend on the
weights.
"""

from se_viz.attribution import scores as library
from se_viz.attribution.question import Attribution
from se_viz.attribution.scores import MapScore, SanityStep, Yardstick
from se_viz.engine.answers.work import Work
from se_viz.engine.questions import (
    Attribute,
    CheckSanity,
    MakeYardstick,
    MeasureSensitivity,
    ScoreMap,
)


def make_yardstick(question: MakeYardstick, work: Work) -> Yardstick:
    """Score the controls."""
    return library.make_yardstick(work.network, work.inputs, question.exam, **work.callbacks)


def score(question: ScoreMap, work: Work) -> MapScore:
    """Score a map."""
    values = _map(question.map, work).map
    yardstick = work.recall(MakeYardstick(question.exam), work.digest)
    return library.score_map(work.network, work.inputs, values, yardstick.falls, **work.callbacks)


def measure_sensitivity(question: MeasureSensitivity, work: Work) -> float:
    """Move the image a little, and run a method again."""
    return library.measure_sensitivity(
        work.network, work.inputs, _map(question.map, work), **work.callbacks
    )


def check_sanity(question: CheckSanity, work: Work) -> tuple[SanityStep, ...]:
    """Randomise a copy of the network under a map."""
    return library.check_sanity(
        work.network, work.inputs, _map(question.map, work), **work.callbacks
    )


def _map(question: Attribute, work: Work) -> Attribution:
    return work.recall(question, work.digest)
