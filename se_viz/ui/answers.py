"""One attribution method asked: its map, or the reason why it has none, computed once."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import streamlit as st

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.records import Attribution
from se_viz.attribution.targets import Target
from se_viz.errors import AttributionError, OvertakenError, SeVizError
from se_viz.line import Watch
from se_viz.ui.cached import attribute_pixels
from se_viz.ui.cases import Case, Work
from se_viz.ui.choices import Choices
from se_viz.ui.loaded import borrow_network
from se_viz.ui.methods import Request
from se_viz.ui.waiting import waiting

if TYPE_CHECKING:
    from se_viz.attribution.fitness import Verdict

Answers: TypeAlias = Mapping[str, Attribution | SeVizError]
"""What each method left, by key: a map, or the reason why there is none."""


def maps_of(answers: Answers) -> list[Attribution]:
    """Return the maps among what methods left."""
    return [one for one in answers.values() if isinstance(one, Attribution)]


def ask(case: Case, target: Target, request: Request, work: Work) -> Attribution | SeVizError:
    """Return what a method finds, or why there is no map.

    Raises:
        OvertakenError: from the watch.
    """
    try:
        verdict = _verdict(case.network, case.device, request.method, _watch=work.watch)
        if not verdict.runs:
            return AttributionError(verdict.words)
        return attribute_pixels(case, target, request, _work=work)
    except OvertakenError:
        raise
    except SeVizError as error:
        return error


def list_remarks(choices: Choices, maps: Sequence[Attribution]) -> list[str]:
    """Return what is known of these methods on this network, where it is worth a word; once for all that share it.

    Raises:
        OvertakenError: from the watch.
    """
    shown, sharing = {one.method for one in maps}, dict[str, list[str]]()
    with waiting("Judging the methods…") as watch:
        for method in filter(shown.__contains__, METHODS):
            words = _verdict(choices.name, choices.device, method, _watch=watch).words
            sharing.setdefault(words, []).append(METHODS[method].title)
    return [f"**{', '.join(titles)}**: {words}" for words, titles in sharing.items() if words]


@st.cache_data(max_entries=1024, show_spinner=False)
def _verdict(name: str, device: str, method: str, *, _watch: Watch) -> "Verdict":
    # Here, so that the page does not wait for Captum.
    from se_viz.attribution.fitness import judge_method

    _watch(0)
    with borrow_network(name, device) as network:
        return judge_method(network, method)
