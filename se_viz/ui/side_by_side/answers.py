"""One attribution method asked: its map, or the reason why it has none, computed once."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeAlias

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.question import Attribution, Target
from se_viz.engine.questions import JudgeMethod
from se_viz.errors import AttributionError, SeVizError
from se_viz.ui.asking import Choices, answer, attempt
from se_viz.ui.session import Report, Watch, waiting
from se_viz.ui.widgets import Request

Answers: TypeAlias = Mapping[str, Attribution | SeVizError]
"""What each method left, by key: a map, or the reason why there is none."""


def maps_of(answers: Answers) -> list[Attribution]:
    """Return the maps among what methods left."""
    return [attribution for attribution in answers.values() if isinstance(attribution, Attribution)]


def ask_method(
    choices: Choices,
    target: Target,
    request: Request,
    watch: Watch,
    report: Report = lambda *_: None,
) -> Attribution | SeVizError:
    """Return what a method finds, or why there is no map.

    Raises:
        OvertakenError: from the watch.
    """
    verdict = attempt(partial(answer, choices, JudgeMethod(request.method), watch))
    if isinstance(verdict, SeVizError):
        return verdict
    if not verdict.runs:
        return AttributionError(verdict.words)
    return attempt(partial(answer, choices, request.about(target), watch, report))


def list_remarks(choices: Choices, maps: Sequence[Attribution]) -> list[str]:
    """Return what is known of these methods on this network, where it is worth a word.

    Once for all that share it.

    Raises:
        OvertakenError: from the watch.
    """
    methods = {attribution.method for attribution in maps}
    sharing = dict[str, list[str]]()
    with waiting("Judging the methods…") as watch:
        for method in filter(methods.__contains__, METHODS):
            words = answer(choices, JudgeMethod(method), watch).words
            sharing.setdefault(words, []).append(METHODS[method].title)
    return [f"**{', '.join(titles)}**: {words}" for words, titles in sharing.items() if words]
