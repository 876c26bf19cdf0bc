"""The view *Stage by stage*: the same map at every stage, on both sides of a gate, and from the gates alone."""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from torch import Tensor

from se_viz.analysis import Analysis
from se_viz.attribution.focus import find_focus
from se_viz.attribution.layer_catalogue import LAYER_METHODS
from se_viz.attribution.layers import LayerAttribution, attribute_layer, attribute_layers, enlarge, explain_refusal
from se_viz.attribution.places import Layer
from se_viz.attribution.targets import Target
from se_viz.charts.scales import CLIPPED, fit_span, gate_span
from se_viz.charts.stages import draw_panel
from se_viz.counterfactuals import gates_of
from se_viz.errors import OvertakenError, SeVizError
from se_viz.gates.tables import label_blocks, name_stage
from se_viz.ui.cases import Case, Question, Work, ask_layers, borrow_inputs, case_of
from se_viz.ui.choices import Choices, current_palette
from se_viz.ui.figures import show_panel
from se_viz.ui.methods import announce
from se_viz.ui.pickers import choose_option
from se_viz.ui.progress import part_of, progress
from se_viz.ui.recalibration import show_recalibration
from se_viz.ui.se_vector import show_se_vector
from se_viz.ui.waiting import waiting

_PLACES = {"end": "the stage's end", "after": "X~ of its last block", "before": "U of its last block"}
_DETAIL = 128


def show_stages(choices: Choices, analysis: Analysis, target: Target, baseline: str) -> None:
    """Show how the evidence for a class narrows with depth, what gates change in it, and what they point at alone."""
    st.header("How the evidence narrows with depth", anchor=False, divider="gray")
    _show_depth(choices, analysis, target, baseline)
    st.header("Before and after the gates", anchor=False, divider="gray")
    show_recalibration(choices, analysis, target, baseline)
    st.header("What the gates alone point at", anchor=False, divider="gray")
    show_se_vector(choices, analysis, target)


@dataclass(frozen=True, slots=True)
class _Sight:
    """One method at one stage."""

    map: Tensor
    seconds: float
    focus: float | None


@st.fragment
def _show_depth(choices: Choices, analysis: Analysis, target: Target, baseline: str) -> None:
    method, where = _choose()
    stages = sorted({record.stage for record in analysis.records})
    layers = {stage: Layer(where, stage if where == "end" else _last(analysis, stage)) for stage in stages}
    try:
        _announce(choices, analysis, method, stages=stages)
        # A container, so that what was there before holds its place meanwhile.
        with st.container():
            found = _find(choices, layers, ask_layers(target, method, baseline))
    except OvertakenError:
        # The newer choice draws this part again at once.
        return
    except SeVizError as error:
        st.error(str(error))
        return
    for column, (stage, sight) in zip(st.columns(len(found), gap="small"), found.items(), strict=True):
        with column:
            _show_stage(choices, analysis, (stage, method), sight)
    if drawn := [sight.seconds for sight in found.values() if isinstance(sight, _Sight)]:
        st.caption(_describe(method, sum(drawn)))


def _choose() -> tuple[str, str]:
    """Ask for a method, and for the feature map of each stage that it is to explain the answer by."""
    left, right = st.columns(2)
    method = left.selectbox(
        "Method",
        list(LAYER_METHODS),
        format_func=lambda key: LAYER_METHODS[key].title,
        key="stage-method",
        persist_state="session",
    )
    with right:
        return method, choose_option("Explained by", _PLACES, key="stage-place")


def _announce(choices: Choices, analysis: Analysis, method: str, *, stages: list[int]) -> None:
    """Say before a long run how long it is."""
    row, widths = LAYER_METHODS[method], {record.stage: record.gate.shape[1] for record in analysis.records}
    costs = [row.cost(row.options.get("n_steps", 1), widths[stage]) for stage in stages]
    passes, back = (sum(part) for part in zip(*costs, strict=True))
    if passes > 4 * len(stages):
        announce(choices, row.title, (passes, back), what="all stages")


def _last(analysis: Analysis, stage: int) -> str:
    return [record.name for record in analysis.records if record.stage == stage][-1]


def _describe(method: str, seconds: float) -> str:
    row = LAYER_METHODS[method]
    return (
        f"{row.looks_for} Look from the first stage to the last: coarser cells, and less of the photo in colour. "
        f"Each map has a scale of its own, since stages have units of their own. {CLIPPED} Below it the gates of that "
        f"stage, sorted: the last block's in orange, those before it in grey, the rule at 0.5. Took {seconds:.2f} s. "
        f"({row.source})"
    )


def _show_stage(choices: Choices, analysis: Analysis, asked: tuple[int, str], sight: _Sight | str) -> None:
    stage, method = asked
    st.markdown(f"**{name_stage(stage)}**")
    if isinstance(sight, str):
        st.info(sight)
        return
    values = enlarge(sight.map, (_DETAIL, _DETAIL)).numpy()
    signed = bool((sight.map < 0).any())
    labels, gates = label_blocks(analysis.records), gates_of(analysis)
    curves = {labels[one.name]: gates[one.name].numpy() for one in analysis.records if one.stage == stage}
    figure = draw_panel(
        choices.photo,
        values,
        current_palette(),
        span=fit_span(values, signed=signed),
        title=name_scale(method, signed=signed),
        curves=curves,
        gates=gate_span(choices.network.inspection.sites, np.concatenate(list(gates.values()))),
    )
    alt = f"{name_stage(stage)}: the map over the photo, and the gates of the stage"
    show_panel(figure, f"stage-{stage}", alt=alt)
    height, width = sight.map.shape
    st.caption(f"{height} x {width} cells. {_say_focus(sight.focus, method)}")


def name_scale(method: str, *, signed: bool) -> str:
    """Return the title of a map's colours: what they are between."""
    if not signed:
        return "none → strongest"
    return "below 0 ← 0 → above" if LAYER_METHODS[method].classless else "against ← 0 → for"


def _say_focus(focus: float | None, method: str) -> str:
    what = "is active" if LAYER_METHODS[method].classless else "speaks for it"
    if focus is None:
        return f"Nothing {what} here."
    return f"Half of what {what} lies in **{focus:.0%}** of the photo."


def _find(choices: Choices, layers: dict[int, Layer], question: Question) -> dict[int, _Sight | str]:
    """Return what each stage shows, or the sentence why it cannot."""
    case, photo = case_of(choices), choices.photo
    if LAYER_METHODS[question.method].single:
        with waiting("Computing the maps…", slow=True) as watch:
            found = _sights(case, tuple(layers.values()), question, _work=Work(photo, watch))
        return dict(zip(layers, found, strict=True))
    share = 100 // len(layers)
    with progress("Computing the maps…", key="stages", stop=_stop) as (watch, report):
        parts = [part_of(report, before=share * place, weight=share, whole=100) for place in range(len(layers))]
        return {
            stage: _try(case, layer, question, Work(photo, watch, part))
            for (stage, layer), part in zip(layers.items(), parts, strict=True)
        }


def _stop() -> None:
    st.session_state["stage-method"] = next(iter(LAYER_METHODS))


def _try(case: Case, layer: Layer, question: Question, work: Work) -> _Sight | str:
    try:
        return _sight(case, layer, question, _work=work)
    except OvertakenError:
        raise
    except SeVizError as error:
        return str(error)


@st.cache_data(max_entries=128, max_size="64MB", show_spinner=False)
def _sights(case: Case, layers: tuple[Layer, ...], question: Question, *, _work: Work) -> list[_Sight | str]:
    """Return what each feature map shows, from the one pass that all share, or the sentence why it cannot."""
    target, method = question.target, question.method
    with borrow_inputs(case, _work) as (network, inputs):
        refusals = {layer: explain_refusal(network, layer) for layer in layers}
        right = [layer for layer in layers if not refusals[layer]]
        shown = attribute_layers(network, inputs, target, method, layers=right, watch=_work.watch) if right else []
    sights = {found.layer: _see(found) for found in shown}
    return [sights.get(layer, refusals[layer]) for layer in layers]


@st.cache_data(max_entries=512, max_size="64MB", show_spinner=False)
def _sight(case: Case, layer: Layer, question: Question, *, _work: Work) -> _Sight:
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


def _see(found: LayerAttribution) -> _Sight:
    return _Sight(found.map, found.seconds, find_focus(enlarge(found.map, (_DETAIL, _DETAIL))))
