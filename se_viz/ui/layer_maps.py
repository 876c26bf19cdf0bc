"""What one method finds at several feature maps: the announcement of a long run, its bar, and what is kept of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import streamlit as st
from torch import Tensor

from se_viz.analysis import Analysis
from se_viz.attribution.focus import enlarge, find_focus
from se_viz.attribution.layer_catalogue import LAYER_METHODS
from se_viz.attribution.layers import attribute_layer, attribute_layers, explain_refusal
from se_viz.attribution.places import Layer
from se_viz.attribution.recalibration import Side, sum_up
from se_viz.attribution.records import LayerAttribution
from se_viz.errors import OvertakenError, SeVizError
from se_viz.ui.cases import Case, Question, Work, borrow_inputs, case_of
from se_viz.ui.choices import Choices
from se_viz.ui.methods import announce
from se_viz.ui.progress import part_of, progress
from se_viz.ui.waiting import waiting

Place = TypeVar("Place", int, str)

DETAIL = 128
"""Cells a side of a map as it is drawn."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one method found at one feature map, without the values of each channel's cells."""

    map: Tensor
    """The map of (height, width) cells."""
    side: Side
    """Its sums over channels and over cells."""
    seconds: float
    """Run time."""
    focus: float | None
    """Share of the photo that holds half of what is positive; None: nothing is."""


def choose_method(key: str) -> str:
    """Offer every method that explains a feature map."""
    return st.selectbox(
        "Method",
        list(LAYER_METHODS),
        format_func=lambda method: LAYER_METHODS[method].title,
        key=key,
        persist_state="session",
    )


def announce_sights(choices: Choices, analysis: Analysis, method: str, *, layers: Collection[Layer], what: str) -> None:
    """Say before a long run how long it is, and for ``what``: all these feature maps together."""
    row = LAYER_METHODS[method]
    widths = {use: record.gate.shape[1] for record in analysis.records for use in (record.stage, record.name)}
    costs = [row.cost(row.options.get("n_steps", 1), widths[layer.of]) for layer in layers]
    passes, back = (sum(part) for part in zip(*costs, strict=True))
    if passes > 8 * len(layers):
        announce(choices, row.title, (passes, back), what=what)


def find_sights(
    choices: Choices, layers: Mapping[Place, Layer], question: Question, *, picker: str
) -> dict[Place, Sight | str]:
    """Return what each feature map shows, or the sentence why it cannot; *Stop* sets the ``picker`` of methods back."""
    case, photo = case_of(choices), choices.photo
    if LAYER_METHODS[question.method].single:
        with waiting("Computing the maps…", slow=True) as watch:
            found = _sights(case, tuple(layers.values()), question, _work=Work(photo, watch))
        return dict(zip(layers, found, strict=True))
    share = 100 // len(layers)
    with progress("Computing the maps…", key=picker, stop=partial(_stop, picker)) as (watch, report):
        parts = [part_of(report, before=share * place, weight=share, whole=100) for place in range(len(layers))]
        return {
            place: _try(case, layer, question, Work(photo, watch, part))
            for (place, layer), part in zip(layers.items(), parts, strict=True)
        }


def name_scale(method: str, *, signed: bool) -> str:
    """Return the title of a map's colours: what they are between."""
    if not signed:
        return "none → strongest"
    return "below 0 ← 0 → above" if LAYER_METHODS[method].classless else "against ← 0 → for"


def _stop(picker: str) -> None:
    st.session_state[picker] = next(iter(LAYER_METHODS))


def _try(case: Case, layer: Layer, question: Question, work: Work) -> Sight | str:
    try:
        return _sight(case, layer, question, _work=work)
    except OvertakenError:
        raise
    except SeVizError as error:
        return str(error)


@st.cache_data(max_entries=128, max_size="64MB", show_spinner=False)
def _sights(case: Case, layers: tuple[Layer, ...], question: Question, *, _work: Work) -> list[Sight | str]:
    """Return what each feature map shows, from the one pass that all share, or the sentence why it cannot."""
    target, method = question.target, question.method
    with borrow_inputs(case, _work) as (network, inputs):
        refusals = {layer: explain_refusal(network, layer) for layer in layers}
        right = [layer for layer in layers if not refusals[layer]]
        shown = attribute_layers(network, inputs, target, method, layers=right, watch=_work.watch) if right else []
    sights = {found.layer: _see(found) for found in shown}
    return [sights.get(layer, refusals[layer]) for layer in layers]


@st.cache_data(max_entries=512, max_size="64MB", show_spinner=False)
def _sight(case: Case, layer: Layer, question: Question, *, _work: Work) -> Sight:
    with borrow_inputs(case, _work) as (network, inputs):
        found = attribute_layer(
            network,
            inputs,
            question.target,
            question.method,
            layer=layer,
            baseline=question.baseline,
            watch=_work.watch,
            report=_work.report,
        )
    return _see(found)


def _see(found: LayerAttribution) -> Sight:
    return Sight(found.map, sum_up(found), found.seconds, find_focus(enlarge(found.map, (DETAIL, DETAIL))))
