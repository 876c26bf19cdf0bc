"""One attribution method asked: its map, or the reason why it has none, computed once."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import streamlit as st
from PIL import Image

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.records import Attribution
from se_viz.attribution.targets import Target
from se_viz.errors import AttributionError, OvertakenError, SeVizError
from se_viz.line import Watch
from se_viz.ui.cached import borrow_network
from se_viz.ui.choices import Choices
from se_viz.ui.methods import Request
from se_viz.ui.waiting import waiting
from se_viz.variants import Report

if TYPE_CHECKING:
    from se_viz.attribution.fitness import Verdict

Answers: TypeAlias = Mapping[str, Attribution | SeVizError]
"""What each method left, by key: a map, or the reason why there is none."""


def maps_of(answers: Answers) -> list[Attribution]:
    """Return the maps among what methods left."""
    return [one for one in answers.values() if isinstance(one, Attribution)]


def ask(choices: Choices, target: Target, request: Request, told: tuple[Watch, Report]) -> Attribution | SeVizError:
    """Return what a method finds, or why there is no map; ``told`` are the watch, and the report of progress.

    Raises:
        OvertakenError: from the watch.
    """
    name, device, digest, photo = choices.key
    watch, report = told
    try:
        verdict = _verdict(name, device, request.method, _watch=watch)
        if not verdict.runs:
            return AttributionError(verdict.words)
        return _attribution(name, device, digest, target, request, _photo=photo, _watch=watch, _report=report)
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
            words = _verdict(*choices.key[:2], method, _watch=watch).words
            sharing.setdefault(words, []).append(METHODS[method].title)
    return [f"**{', '.join(titles)}**: {words}" for words, titles in sharing.items() if words]


@st.cache_data(max_entries=1024, show_spinner=False)
def _verdict(name: str, device: str, method: str, *, _watch: Watch) -> "Verdict":
    # Here, so that the page does not wait for Captum.
    from se_viz.attribution.fitness import judge_method

    _watch(0)
    with borrow_network(name, device) as network:
        return judge_method(network, method)


@st.cache_data(max_entries=1024, max_size="512MB", show_spinner=False)
def _attribution(
    name: str,
    device: str,
    digest: str,
    target: Target,
    request: Request,
    *,
    _photo: Image.Image,
    _watch: Watch,
    _report: Report,
) -> Attribution:
    # Here, so that the page does not wait for Captum.
    from se_viz.attribution.run import attribute

    with borrow_network(name, device) as network:
        return attribute(
            network,
            network.preprocess(_photo),
            target.index,
            request.method,
            against=target.against,
            baseline=request.baseline,
            watch=_watch,
            report=_report,
            **dict(request.options),
        )
