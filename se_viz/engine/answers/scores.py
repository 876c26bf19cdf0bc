"""Answers about maps: how they score, how they move with the image, and whether they depend on the weights."""

from typing import TYPE_CHECKING

from se_viz.attribution.records import Attribution
from se_viz.engine.answers.work import Work
from se_viz.engine.questions import Attribute, CheckSanity, MakeYardstick, MeasureSensitivity, ScoreMap

if TYPE_CHECKING:
    from se_viz.attribution.sanity import SanityStep
    from se_viz.attribution.scores import MapScore, Yardstick


def make_yardstick(question: MakeYardstick, work: Work) -> "Yardstick":
    """Score the controls."""
    from se_viz.attribution import scores

    return scores.make_yardstick(work.network, work.inputs, question.exam, **work.told)


def score(question: ScoreMap, work: Work) -> "MapScore":
    """Score a map."""
    from se_viz.attribution import scores

    values = _map(question.map, work).map
    yardstick = work.recall(MakeYardstick(question.exam), work.digest)
    return scores.score_map(work.network, work.inputs, values, yardstick.falls, **work.told)


def measure_sensitivity(question: MeasureSensitivity, work: Work) -> float:
    """Move the image a little, and run a method again."""
    from se_viz.attribution import sensitivity

    return sensitivity.measure_sensitivity(work.network, work.inputs, _map(question.map, work), **work.told)


def check_sanity(question: CheckSanity, work: Work) -> tuple["SanityStep", ...]:
    """Randomise a copy of the network under a map."""
    from se_viz.attribution import sanity

    return sanity.check_sanity(work.network, work.inputs, _map(question.map, work), **work.told)


def _map(question: Attribute, work: Work) -> Attribution:
    return work.recall(question, work.digest)
