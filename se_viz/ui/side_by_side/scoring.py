"""Scores as pages ask for them: with a bar over all their parts, and each part cached by itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.question import Attribution
from se_viz.attribution.scores import Exam, MapScore, Yardstick, count_passes
from se_viz.engine.questions import Attribute, MakeYardstick, MeasureSensitivity, ScoreMap
from se_viz.errors import AttributionError, TooLittleMemoryError
from se_viz.ui.asking import Choices, answer, case_of, part_of, progress
from se_viz.ui.session import keys


@dataclass(frozen=True, slots=True)
class Subject:
    """A map that is shown."""

    question: Attribute
    """What made it."""
    attribution: Attribution
    """The map itself."""

    @property
    def title(self) -> str:
        """Return its method's name for people, and the stage where there is one."""
        stage = "" if self.attribution.stage is None else f", stage {self.attribution.stage}"
        return METHODS[self.attribution.method].title + stage


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of the maps that are shown."""

    yardstick: Yardstick
    """The controls."""
    scores: dict[str, MapScore]
    """The score of each map, by title."""
    problems: dict[str, str]
    """Why a map has none, by title."""


def count_pictures(exam: Exam, subjects: Sequence[Subject]) -> int:
    """Return how many pictures go through the network for all scores."""
    return count_passes(exam) + len(subjects) * exam.passes


def get_scores(choices: Choices, exam: Exam, subjects: Sequence[Subject]) -> Scored:
    """Score maps and controls.

    Raises:
        OvertakenError: it was stopped, or is not wanted any more.
        SeVizError: too many wait, or there is too little memory; the text says what to do.
    """
    passes = count_passes(exam)
    whole = count_pictures(exam, subjects)
    scores: dict[str, MapScore] = {}
    problems: dict[str, str] = {}
    work = (case_of(choices), exam, tuple(subject.question for subject in subjects))
    with progress("Scoring maps…", key=keys.SCORES, work=work) as (watch, report):
        yardstick = answer(
            choices,
            MakeYardstick(exam),
            watch,
            part_of(report, before=0, weight=passes, whole=whole),
        )
        for subject in subjects:
            part = part_of(report, before=passes, weight=exam.passes, whole=whole)
            try:
                scores[subject.title] = answer(
                    choices, ScoreMap(subject.question, exam), watch, part
                )
            except (AttributionError, TooLittleMemoryError) as problem:
                problems[subject.title] = str(problem)
            passes += exam.passes
    return Scored(yardstick, scores, problems)


def get_sensitivities(
    choices: Choices, subjects: Sequence[Subject], *, stop: Callable[[], None]
) -> Mapping[str, float]:
    """Measure how far each map moves when the image hardly does, by title.

    Raises:
        SeVizError: a method cannot run, or too many wait; the text says what to do.
    """
    weight = 100 // len(subjects)
    sensitivities: dict[str, float] = {}
    with progress("Moving the image…", key=keys.SENSITIVITY.name, stop=stop) as (watch, report):
        for place, subject in enumerate(subjects):
            part = part_of(report, before=weight * place, weight=weight, whole=100)
            sensitivities[subject.title] = answer(
                choices, MeasureSensitivity(subject.question), watch, part
            )
    return sensitivities
