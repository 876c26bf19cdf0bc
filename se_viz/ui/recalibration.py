"""One map on both sides of a block's gates, their difference, and the channels that make it."""

import numpy as np
import streamlit as st
from torch import Tensor

from se_viz.analysis import Analysis
from se_viz.attribution.layer_catalogue import LAYER_METHODS
from se_viz.attribution.layers import attribute_layers, enlarge
from se_viz.attribution.places import Layer
from se_viz.attribution.recalibration import COMPARABLE, Recalibration, compare_sides
from se_viz.attribution.targets import Target
from se_viz.charts.recalibration import draw_makers
from se_viz.charts.scales import CLIPPED, fit_span, widest
from se_viz.charts.stages import draw_panel
from se_viz.counterfactuals import gates_of
from se_viz.errors import OvertakenError, SeVizError
from se_viz.gates.tables import label_blocks
from se_viz.ui.cases import Case, Question, Work, ask_layers, borrow_inputs, case_of
from se_viz.ui.choices import Choices, current_palette
from se_viz.ui.figures import show_figure, show_panel
from se_viz.ui.links import link_channel
from se_viz.ui.pickers import choose_block, open_channel_of
from se_viz.ui.state import open_channel
from se_viz.ui.waiting import waiting

_SHOWN = 10
_DETAIL = 128


@st.fragment
def show_recalibration(choices: Choices, analysis: Analysis, target: Target, baseline: str) -> None:
    """Show one method on U and X~ of the open block, and the channels by which the two maps differ."""
    left, right = st.columns(2)
    with left:
        block = choose_block(analysis)
    method = right.selectbox(
        "Method",
        COMPARABLE,
        format_func=lambda key: LAYER_METHODS[key].title,
        key="side-method",
        persist_state="session",
    )
    try:
        # A container, so that what was there before holds its place meanwhile.
        with st.container():
            found = _get_sides(choices, analysis, block, ask_layers(target, method, baseline))
    except OvertakenError:
        # The newer choice draws this part again at once.
        return
    except SeVizError as error:
        st.error(str(error))
        return
    _show_maps(choices, found, method)
    _show_makers(analysis, found, block, method)


def describe_sides(method: str) -> str:
    """Say what the difference between the two sides of a gate is, for one method."""
    row = LAYER_METHODS[method]
    if row.classless:
        return (
            "The gates alone make this difference: each channel goes on s times as strong, the same at every pixel. "
            "Drawn is the mean over the channels, whatever the class."
        )
    return (
        "A change of U would change the gates too, one of X~ comes after them. So X~ shows what the channels do, and "
        "the difference what runs through squeeze and excitation. Where it is pale, the gates hardly took part."
    )


def _show_maps(choices: Choices, found: Recalibration, method: str) -> None:
    maps = {
        "U, before the gates": found.before,
        "X~, after the gates": found.after,
        "The difference, after - before": found.difference,
    }
    large = {name: enlarge(one, (_DETAIL, _DETAIL)).numpy() for name, one in maps.items()}
    shared = widest(fit_span(one, signed=True) for one in large.values())
    title = "below 0 ← 0 → above" if LAYER_METHODS[method].classless else "against ← 0 → for"
    for place, (name, values) in zip(st.columns(3, gap="small"), large.items(), strict=True):
        with place:
            st.markdown(f"**{name}**")
            figure = draw_panel(choices.photo, values, current_palette(), span=shared, title=title)
            show_panel(figure, f"side-{name[0]}", alt=f"{name}: the map over the photo")
    st.caption(f"{describe_sides(method)} All three share one scale. {CLIPPED} ({LAYER_METHODS[method].source})")


def _show_makers(analysis: Analysis, found: Recalibration, block: str, method: str) -> None:
    record = analysis.record(block)
    channel, ranked = open_channel_of(record), found.channels
    # The open channel too, which the link names.
    table = ranked.loc[(ranked.index < _SHOWN) | (ranked["channel"] == channel)]
    st.markdown("**The channels that make the difference**, the largest first")
    plot, words = st.columns([3, 2], gap="medium")
    with plot:
        unit = "mean activation, cells summed" if LAYER_METHODS[method].classless else "cells summed"
        figure = draw_makers(table, current_palette(), unit=unit, selected=channel)
        show_figure(figure, "makers", alt="Channels by their part in the difference", on_click=open_channel)
    with words:
        st.markdown(describe_makers(ranked["difference"].to_numpy(), _SHOWN))
        st.caption(
            "A bar is a channel's part in the difference, summed over the cells; a click opens the channel. The open "
            "one is orange, and comes last where it is not among the largest."
        )
        link_channel(record, label_blocks(analysis.records)[block])


def describe_makers(differences: np.ndarray, shown: int) -> str:
    """Say how much of all that moved, up or down, the first channels of a ranked list make."""
    moved = np.abs(differences)
    if not moved.sum():
        return "Both maps are the same: these gates change nothing here."
    first = moved[:shown]
    share = first.sum() / moved.sum()
    return (
        f"The {len(first)} largest of {len(moved)} channels make **{share:.0%}** of all that moved, up or down. The "
        "smaller the share, the more channels the block works through."
    )


def _get_sides(choices: Choices, analysis: Analysis, block: str, question: Question) -> Recalibration:
    with waiting("Computing both sides…", slow=True) as watch:
        work = Work(choices.photo, watch)
        return _sides(case_of(choices), (block, question), _gates=gates_of(analysis)[block], _work=work)


@st.cache_data(max_entries=128, max_size="64MB", show_spinner=False)
def _sides(case: Case, asked: tuple[str, Question], *, _gates: Tensor, _work: Work) -> Recalibration:
    block, question = asked
    with borrow_inputs(case, _work) as (network, inputs):
        before, after = attribute_layers(
            network,
            inputs,
            question.target,
            question.method,
            layers=[Layer(where, block) for where in ("before", "after")],
            baseline=question.baseline,
            watch=_work.watch,
        )
    return compare_sides(before, after, _gates)
