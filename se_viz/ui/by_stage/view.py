"""The view *Stage by stage*: the same map at every stage, on both sides of a gate, and from the
gates alone.
"""

import numpy as np
import streamlit as st

from se_viz.attribution.catalogue import LAYER_METHODS
from se_viz.attribution.layers import enlarge
from se_viz.attribution.question import Layer, Target
from se_viz.charts import CLIPPED, draw_panel, fit_span, gate_span, name_stage
from se_viz.engine import Sight
from se_viz.experiments import Analysis, gates_of
from se_viz.gates.tables import label_blocks
from se_viz.ui.asking import Choices, page_part
from se_viz.ui.by_stage.layer_maps import (
    announce_sights,
    ask_layer,
    choose_method,
    find_sights,
    name_scale,
)
from se_viz.ui.by_stage.recalibration import show_recalibration
from se_viz.ui.by_stage.se_vector import show_se_vector
from se_viz.ui.frame import live_part
from se_viz.ui.glossary import explain
from se_viz.ui.navigation import link_guide
from se_viz.ui.session import keys
from se_viz.ui.widgets import choose_option, current_palette, show_panel
from se_viz.ui.words import as_markdown

_PLACES = {
    "end": "the stage's end",
    "after": r"$\tilde{X}$ of its last block",
    "before": "$U$ of its last block",
}


def show_stages(choices: Choices, analysis: Analysis, target: Target, baseline: str) -> None:
    """Show how the evidence for a class changes with depth, what gates change in it, and what they
    point at alone.
    """
    st.header("How the evidence changes with depth", anchor=False, divider="gray")
    link_guide("stage-by-stage")
    _show_depth(choices, analysis, target, baseline)
    st.header(
        "Before and after the gates",
        anchor=False,
        divider="gray",
        help=explain("recalibration", "channel"),
    )
    show_recalibration(choices, analysis, target, baseline)
    st.header("The map of the gates alone", anchor=False, divider="gray")
    show_se_vector(choices, analysis, target)


@live_part
@page_part
def _show_depth(choices: Choices, analysis: Analysis, target: Target, baseline: str) -> None:
    method, where = _choose()
    stages = sorted({record.stage for record in analysis.records})
    layers = {
        stage: Layer(where, stage if where == "end" else _last(analysis, stage)) for stage in stages
    }
    # A container, so that what was there before holds its place meanwhile.
    with st.container():
        announce_sights(choices, analysis, method, layers=layers.values(), what="all stages")
        questions = {
            stage: ask_layer(layer, target, method, baseline) for stage, layer in layers.items()
        }
        sights = find_sights(choices, questions, picker=keys.STAGE_METHOD)
    for column, (stage, sight) in zip(
        st.columns(len(sights), gap="small"), sights.items(), strict=True
    ):
        with column:
            _show_stage(choices, analysis, (stage, method), sight)
    if times := [sight.seconds for sight in sights.values() if isinstance(sight, Sight)]:
        row = LAYER_METHODS[method]
        words = (
            "Look from the first stage to the last: the share below each map shows whether the "
            "evidence narrows."
        )
        st.caption(f"{words} {row.looks_for}", help=_explain(sum(times), row.source))


def _choose() -> tuple[str, str]:
    """Ask for a method, and for the feature map of each stage that it is to explain the answer
    by.
    """
    left, right = st.columns(2)
    with left:
        method = choose_method(keys.STAGE_METHOD)
    with right:
        words = explain("stage", "stride", "block", "feature map")
        return method, choose_option("Explained by", _PLACES, key=keys.STAGE_PLACE, help=words)


def _last(analysis: Analysis, stage: int) -> str:
    return [record.name for record in analysis.records if record.stage == stage][-1]


def _explain(seconds: float, source: str) -> str:
    return (
        f"Cells get coarser with depth, and each map has its own scale and units. {CLIPPED} "
        "Curves: the sorted gates of the stage, the last block's highlighted, earlier blocks' "
        f"faint. Took {seconds:.2f} s. ({source})"
    )


def _show_stage(
    choices: Choices, analysis: Analysis, place: tuple[int, str], sight: Sight | str
) -> None:
    stage, method = place
    st.markdown(f"**{name_stage(stage)}**")
    if isinstance(sight, str):
        st.info(as_markdown(sight))
        return
    values = enlarge(sight.map, choices.network.detail).numpy()
    signed = bool((sight.map < 0).any())
    labels = label_blocks(analysis.records)
    gates = gates_of(analysis)
    curves = {
        labels[record.name]: gates[record.name].numpy()
        for record in analysis.records
        if record.stage == stage
    }
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
    show_panel(figure, f"{keys.STAGE}-{stage}", alt=alt)
    cells = " x ".join(map(str, sight.map.shape))
    st.caption(f"{cells} cells. {_say_focus(sight.focus, method, choices.noun)}")


def _say_focus(focus: float | None, method: str, noun: str) -> str:
    what = "activation" if LAYER_METHODS[method].classless else "positive evidence"
    if focus is None:
        return f"No {what} here."
    return f"Half of the {what} lies in **{focus:.0%}** of the {noun}."
