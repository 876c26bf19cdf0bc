"""The view *Through the gates*: how much of a logit's rise flows through SE blocks, and how much
past them.
"""

import pandas as pd
import streamlit as st

from se_viz.attribution.paths import Trace
from se_viz.attribution.question import Target
from se_viz.charts import CLIPPED, PAST, THROUGH, draw_flows, fit_span, sum_cells
from se_viz.engine.questions import TracePaths
from se_viz.experiments import Analysis
from se_viz.gates.tables import label_blocks
from se_viz.ui.asking import Choices, ask_with_bar, page_part
from se_viz.ui.frame import live_part
from se_viz.ui.glossary import explain
from se_viz.ui.navigation import link_guide
from se_viz.ui.session import keys, open_block
from se_viz.ui.through_gates.carriers import show_carriers
from se_viz.ui.through_gates.rise import (
    describe_rise,
    describe_scales,
    is_still,
    name_set,
    say_error,
    say_part,
)
from se_viz.ui.widgets import choose_option, current_palette, show_figure, show_pair

_SCALES = {"shared": "shared", "own": "each its own"}


@live_part
@page_part
def show_paths(choices: Choices, analysis: Analysis, target: Target, baseline: str) -> None:
    """Show what came through the gates and past them: by stage, by block, by pixel, and by
    channel.
    """
    question = TracePaths(target, baseline)
    # A container, so that what was there before holds its place meanwhile.
    with st.container():
        text = f"Integrating from the baseline to the {choices.noun}…"
        trace = ask_with_bar(choices, question, text, key=keys.PATHS)
    _show(choices, analysis, trace, baseline)


def _show(choices: Choices, analysis: Analysis, trace: Trace, baseline: str) -> None:
    words = describe_rise(trace, choices.network.classes, baseline, noun=choices.noun)
    if is_still(trace):
        st.info(words)
        return
    st.markdown(words)
    link_guide("through-the-gates")
    stages, blocks = st.columns(2, gap="large")
    with stages:
        st.subheader("Stage by stage", anchor=False, help=explain("stage", "stride"))
        _show_stages(trace)
    with blocks:
        st.subheader("Block by block", anchor=False, help=explain("block"))
        gate_set = choose_option(
            "Gates of", {name: name_set(name) for name in trace.flows}, key=keys.HELD_GATES
        )
        _show_blocks(analysis, trace, gate_set)
    st.header("Which pixels acted through the gates?", anchor=False, divider="gray")
    _show_maps(choices, trace, gate_set)
    st.header("Which gates carried the rise?", anchor=False, divider="gray")
    show_carriers(choices, analysis, (trace, gate_set, baseline))


def _show_stages(trace: Trace) -> None:
    rows = [(name_set(name), flow.bypass, flow.carried) for name, flow in trace.flows.items()]
    figure = draw_flows(
        pd.DataFrame(rows, columns=["place", "past", "through"]), trace.rise, current_palette()
    )
    show_figure(
        figure, keys.FLOWS, alt="Parts past and through the gates, of the network and of each stage"
    )
    st.caption(
        "Long bars through the gates: changes of these gates changed the answer. The two bars of a "
        "row sum to the rise (dotted).",
        help=f"After {trace.steps} steps, {say_error(trace)}. Rows do not add up: for a stage, "
        "only its own gates are "
        f"held, and all other gates act within both parts. Took {trace.seconds:.1f} s.",
    )


def _show_blocks(analysis: Analysis, trace: Trace, gate_set: str) -> None:
    flow = trace.flows[gate_set]
    labels = label_blocks(analysis.records)
    rows = [
        (labels[block], values.double().sum().item(), block)
        for block, values in flow.through.items()
    ]
    table = pd.DataFrame(rows, columns=["place", "through", "path"]).assign(past=float("nan"))
    figure = draw_flows(table, trace.rise, current_palette())
    show_figure(
        figure,
        keys.FLOW_BLOCKS,
        alt="The part through the gates of each block",
        on_click=open_block,
    )
    st.caption(
        f"Parts through each block's gates, together {say_part(flow.carried, trace)}; past all of "
        f"these gates {say_part(flow.bypass, trace)}. Click a bar to open its block below.",
        help="For each block, all other gates of the set are held.",
    )


def _show_maps(choices: Choices, trace: Trace, gate_set: str) -> None:
    flow = trace.flows[gate_set]
    parts = {
        PAST: (keys.FLOW_PAST, flow.bypass, flow.map),
        THROUGH: (keys.FLOW_THROUGH, flow.carried, trace.gate_map(gate_set)),
    }
    maps = {
        key: (f"**{way.capitalize()}**: {say_part(part, trace)}", sum_cells(pixels.numpy()))
        for way, (key, part, pixels) in parts.items()
    }
    scale = choose_option("Scale", _SCALES, key=keys.FLOW_SCALE)
    spans = {
        way: fit_span(values, signed=True)
        for way, (_, values) in zip(parts, maps.values(), strict=True)
    }
    st.markdown(describe_scales(spans, shared=scale == "shared"))
    title = "lowers the logit ← 0 → raises it"
    show_pair(choices.photo, maps, signed=True, title=title, shared=scale == "shared")
    st.caption(
        "Regions only in the second map act on the answer solely through the gates.",
        help=f"{name_set(gate_set)}. Past the gates: the effect of pixels with these gates held. "
        "Through the gates: the "
        "effect of pixels by moving these gates, the rest of the integrated gradients. A cell is "
        f"the sum of its pixels. {CLIPPED}",
    )
