"""One method on both sides of a block's gates, their difference, and the channels that make it."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import streamlit as st

from se_viz.attribution.catalogue import LAYER_METHODS
from se_viz.attribution.layers import APART, Recalibration, compare_sides, enlarge
from se_viz.attribution.question import WHERE, Layer, Target
from se_viz.charts import CLIPPED, draw_makers, draw_panel, fit_span, widest
from se_viz.engine import Cells, Gates, Sight
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
from se_viz.ui.frame import live_part
from se_viz.ui.session import keys, open_channel
from se_viz.ui.widgets import (
    choose_block,
    current_palette,
    link_channel,
    open_channel_of,
    show_figure,
    show_panel,
)
from se_viz.ui.words import as_markdown

Sides: TypeAlias = Mapping[str, Sight | str]
"""What a method shows before and after the gates, or the sentence why it cannot there."""

_SHOWN = 10
_TILDE = r"$\tilde{X}$"
_DIFFERENCE = "The difference, after - before"


@live_part
@page_part
def show_recalibration(choices: Choices, analysis: Analysis, target: Target, baseline: str) -> None:
    """Show one method on U and X~ of the open block, and the channels by which the two maps
    differ.
    """
    left, right = st.columns(2)
    with left:
        block = choose_block(analysis)
    with right:
        method = choose_method(keys.SIDE_METHOD)
    layers = {where: Layer(where, block) for where in ("before", "after")}
    # A container, so that what was there before holds its place meanwhile.
    with st.container():
        announce_sights(choices, analysis, method, layers=layers.values(), what="both sides")
        questions = {
            side: ask_layer(layer, target, method, baseline) for side, layer in layers.items()
        }
        sides = find_sights(choices, questions, picker=keys.SIDE_METHOD)
    comparison = _compare(sides, gates_of(analysis)[block], method)
    _show_maps(choices, sides, comparison, method)
    if isinstance(comparison, Recalibration):
        _show_makers(analysis, comparison, block, method)


def _compare(sides: Sides, gates: Gates, method: str) -> Recalibration | str:
    """Compare both sides, or say why there is nothing to compare."""
    before = sides["before"]
    after = sides["after"]
    if isinstance(before, str) or isinstance(after, str):
        return (
            "There is no difference where one side has no map. Choose another method, or another "
            "block."
        )
    return (
        APART[method].reason if method in APART else compare_sides(before.side, after.side, gates)
    )


def describe_sides(method: str) -> str:
    """Say what the difference between the two sides of a gate is, for one method."""
    row = LAYER_METHODS[method]
    if row.classless:
        return (
            "The gates alone make this difference: each channel is multiplied by s, the same at "
            "every pixel. The maps are means over the channels, whatever the class."
        )
    return (
        f"{_TILDE} shows the effect of the channels after their gates; the difference shows what "
        "runs through squeeze and excitation. Where the difference is pale, the gates hardly took "
        "part."
    )


def describe_scale(method: str, count: int) -> str:
    """Say on which scale so many maps of a method are drawn beside each other."""
    if count < 2:
        return CLIPPED if count else ""
    if method in APART and not APART[method].same_unit:
        return (
            f"Each map has its own scale: it weighs activations, which are smaller in {_TILDE} by "
            f"the gates alone. Compare where maps are bright, not how bright. {CLIPPED}"
        )
    return f"{'All three' if count == 3 else 'Both'} share one scale. {CLIPPED}"


def _show_maps(
    choices: Choices, sides: Sides, comparison: Recalibration | str, method: str
) -> None:
    maps = {WHERE[where]: _map_of(side, method) for where, side in sides.items()}
    maps[_DIFFERENCE] = comparison if isinstance(comparison, str) else comparison.difference
    large = {
        name: enlarge(cells, choices.network.detail).numpy()
        for name, cells in maps.items()
        if not isinstance(cells, str)
    }
    signed = method not in APART
    same_scale = method not in APART or APART[method].same_unit
    spans = {name: fit_span(cells, signed=signed) for name, cells in large.items()}
    for place, (name, cells) in zip(st.columns(3, gap="small"), maps.items(), strict=True):
        with place:
            st.markdown(f"**{name.replace('X~', _TILDE)}**")
            if isinstance(cells, str):
                st.info(as_markdown(cells))
                continue
            span = widest(spans.values()) if same_scale else spans[name]
            title = name_scale(method, signed=signed)
            figure = draw_panel(
                choices.photo, large[name], current_palette(), span=span, title=title
            )
            show_panel(figure, f"{keys.SIDE}-{name[0]}", alt=f"{name}: the map over the photo")
    words = (
        LAYER_METHODS[method].looks_for if isinstance(comparison, str) else describe_sides(method)
    )
    st.caption(
        words, help=f"{describe_scale(method, len(large))} ({LAYER_METHODS[method].source})".strip()
    )


def _map_of(side: Sight | str, method: str) -> Cells | str:
    """Return all channels together: signed where they add up, and the method's own map where they
    do not.
    """
    return side if isinstance(side, str) else side.map if method in APART else side.side.cells


def _show_makers(analysis: Analysis, comparison: Recalibration, block: str, method: str) -> None:
    record = analysis.record(block)
    channel = open_channel_of(record)
    ranked = comparison.channels
    # The open channel too, which the link names.
    table = ranked.loc[(ranked.index < _SHOWN) | (ranked["channel"] == channel)]
    st.markdown("**The channels that make the difference**, the largest first")
    plot, words = st.columns([3, 2], gap="medium")
    with plot:
        unit = (
            "mean activation, cells summed" if LAYER_METHODS[method].classless else "cells summed"
        )
        figure = draw_makers(table, current_palette(), unit=unit, selected=channel)
        show_figure(
            figure,
            keys.MAKERS,
            alt="Channels by their part in the difference",
            on_click=open_channel,
        )
    with words:
        st.markdown(describe_makers(ranked["difference"].to_numpy(), _SHOWN))
        st.caption(
            "Each bar is a channel's part in the difference, summed over the cells; click a bar to "
            "open its channel. The open channel is highlighted, and last where it is not among the "
            "largest."
        )
        link_channel(record, label_blocks(analysis.records)[block])


def describe_makers(differences: np.ndarray, shown: int) -> str:
    """Say for how much of the total change, up or down, the first channels of a ranked list
    account.
    """
    moved = np.abs(differences)
    if not moved.sum():
        return "Both maps are the same: these gates change nothing here."
    first = moved[:shown]
    share = first.sum() / moved.sum()
    return (
        f"The {len(first)} largest of {len(moved)} channels account for **{share:.0%}** of the "
        "total change, up or down. The smaller this share, the more channels the block works "
        "through."
    )
