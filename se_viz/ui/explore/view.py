"""The parts of the Explore page: answer, gate map, attribution, one opened block, downloads."""

import time
from functools import partial

import streamlit as st

from se_viz.attribution.catalogue import COMMON, METHODS
from se_viz.attribution.question import Attribution, Target, stage_ends
from se_viz.charts import (
    CLIPPED,
    ORDERS,
    can_draw,
    draw_gates,
    draw_overlay,
    figure_bytes,
    fit_span,
    gate_span,
)
from se_viz.experiments import Analysis
from se_viz.gates.records import GateRecord
from se_viz.gates.tables import (
    NEAR_HALF,
    NEAR_ONE,
    NEAR_ZERO,
    gather_gates,
    label_blocks,
    summarise_blocks,
    table_bytes,
    tabulate_gates,
)
from se_viz.ui.asking import Choices, ask_with_bar, get_analysis, page_part
from se_viz.ui.explore.channel_maps import show_channel_maps
from se_viz.ui.explore.gate_map import show_gate_map
from se_viz.ui.explore.remarks import (
    describe_colours,
    describe_scale,
    describe_squeeze,
    name_the_undrawn,
)
from se_viz.ui.frame import live_part
from se_viz.ui.glossary import explain
from se_viz.ui.navigation import link_guide
from se_viz.ui.session import gates_are_new, keys, link_number, link_option
from se_viz.ui.widgets import (
    Request,
    choose_block,
    choose_class,
    choose_option,
    current_palette,
    get_pace,
    link_attributions,
    link_block,
    link_channel,
    open_channel_of,
    say_seconds,
    show_figure,
    show_rows,
)
from se_viz.ui.words import code

_SHOWN = 4
_HEAD_START = 0.1
"""Seconds in which a browser paints new gates, before it is given all that stands below them. What
comes at once is laid out first, and takes it several times as long."""
_EVEN = (
    "Each row is a block, first block on top: {colours}. Look for uneven rows: there the block "
    "treats its channels differently for this image."
)
_FRAME = (
    "The framed row is the open block, at first the block whose gates differ most; the pin marks "
    "the open channel. Click a row to open its block, or a cell to open its channel."
)
_SQUEEZE = (
    "Each row is a block, first block on top. Each cell is a squeeze: {squeeze}, in units of the "
    "feature map."
)
_ONE_SCALE = "All blocks share one scale, symmetric about 0."


def show_gates(choices: Choices, analysis: Analysis) -> str:
    """Show every gate of every block.

    Return the path of the block that a click or the list has opened.
    """
    # Not columns, which cut the rows of options where they are narrow.
    with st.container(horizontal=True):
        selected = choose_block(analysis, width=180, words=("block", "stage", "stride"))
        value = choose_option(
            "Show",
            {"gate": "gate", "squeeze": "squeeze"},
            key=keys.VALUE,
            help=explain("gate", "squeeze", "channel"),
        )
        order = choose_option("Sort by", ORDERS, key=keys.ORDER)
    inspection = choices.network.inspection
    gates = gather_gates(analysis.records)
    span = gate_span(inspection.sites, gates["gate"])
    channel = open_channel_of(analysis.record(selected))
    show_gate_map(
        gates,
        keys.GATES,
        channel=channel,
        value=value,
        order=order,
        selected=selected,
        gates=span,
    )
    if value == "gate":
        words = _EVEN.format(colours=describe_colours(span, current_palette()))
        st.caption(words, help=f"{describe_scale(inspection.sites, span)} {_FRAME}".strip())
    else:
        words = _SQUEEZE.format(squeeze=describe_squeeze(inspection.sites))
        st.caption(words, help=f"{_ONE_SCALE} {CLIPPED} {_FRAME}")
    link_guide("gate-map")
    for remark in name_the_undrawn(inspection):
        st.caption(remark)
    if gates_are_new(choices.name, choices.image.digest):
        time.sleep(_HEAD_START)
    return selected


@live_part
@page_part
def show_attribution(choices: Choices, analysis: Analysis) -> None:
    """Show which pixels the answer for one class came from."""
    names = choices.network.classes
    target, request = _choose_attribution(choices, analysis)
    link_number(keys.OPACITY, low=0.0, high=1.0, default=0.8)
    opacity = st.slider(
        "Opacity of the map", 0.0, 1.0, 0.8, 0.05, key=keys.OPACITY, persist_state="session"
    )
    question = request.about(Target(target))
    result = ask_with_bar(choices, question, "Computing the map…", key=keys.ATTRIBUTION)
    unit = "against ← 0 → for" if result.signed else "none → strongest"
    values = result.map.numpy()
    span = fit_span(values, signed=result.signed)
    figure = draw_overlay(
        choices.photo,
        values,
        current_palette(),
        span=span,
        opacity=opacity,
        title=unit,
        frame=choices.at.region,
    )
    show_figure(
        figure,
        keys.ATTRIBUTION,
        alt=f"{METHODS[request.method].title} for {names[target]} over the photo",
    )
    method = METHODS[result.method]
    more = f"Took {result.seconds:.2f} s. {CLIPPED} ({method.source})"
    st.caption(_describe(choices, result), help=explain("logit", more=more))
    link_attributions()
    link_guide("attribution")


def _choose_attribution(choices: Choices, analysis: Analysis) -> tuple[int, Request]:
    # Where no module ends a stage, Grad-CAM has nothing to look at.
    methods = COMMON if stage_ends(choices.network.inspection.sites) else COMMON[1:]
    pace = get_pace(choices)
    shape = choices.network.card.shape
    times = {key: say_seconds(pace.estimate(METHODS[key], {}, shape=shape)) for key in methods}
    link_option(keys.METHOD, methods, methods[0])
    method = st.selectbox(
        "Method",
        methods,
        format_func=lambda key: f"{METHODS[key].title} · {times[key]}",
        key=keys.METHOD,
        persist_state="session",
    )
    target = choose_class(choices, analysis)
    if not METHODS[method].layered:
        return target, Request(method)
    stages = {stage: str(stage) for stage in sorted({record.stage for record in analysis.records})}
    stage = choose_option(
        "At the end of stage", stages, key=f"{keys.STAGE}-{choices.name}", default=max(stages)
    )
    return target, Request(method, stage=stage)


def _describe(choices: Choices, result: Attribution) -> str:
    shape = choices.network.card.shape
    words = METHODS[result.method].tell(dict(result.options), shape=shape)
    if result.completeness_error is None or result.explained is None:
        return words
    return (
        f"{words} Completeness error: {result.completeness_error:.3f} of the "
        f"{result.explained:.2f} logits between baseline and image."
    )


def show_block(choices: Choices, analysis: Analysis, path: str) -> None:
    """Show one block's most open and most closed channels and the open one, before and after
    scaling.
    """
    record = analysis.record(path)
    if record.features is None:
        # Only now is it known which block is open: a session's first photo opens one.
        record = get_analysis(choices, path).record(path)
    label = label_blocks(analysis.records)[path]
    st.subheader(f"Block {label}")
    channels = record.gate.shape[1]
    st.caption(
        f"{code(path)}: a few of {channels} channels, by number; click a channel to open it. Only "
        "the gate s changes from top to bottom.",
        help=explain("recalibration", more="Each pair shares one scale, symmetric about 0."),
    )
    link_channel(record, label)
    link_guide("opened-block")
    most_open, most_closed = list_shown(record, open_channel_of(record))
    st.markdown("**Turned up:** the most open gates")
    show_channel_maps(record, most_open, keys.MOST_OPEN)
    st.markdown("**Turned down:** the most closed gates")
    show_channel_maps(record, most_closed, keys.MOST_CLOSED)


def list_shown(record: GateRecord, channel: int) -> tuple[list[int], list[int]]:
    """Return the most open and the most closed channels of a block; the open channel stands in the
    half that it belongs to.
    """
    order = record.gate[0].argsort().tolist()
    groups = order[::-1][:_SHOWN], order[:_SHOWN]
    if channel not in groups[0] + groups[1]:
        groups[order.index(channel) < len(order) / 2].append(channel)
    return groups


def show_numbers(analysis: Analysis) -> None:
    """Show the summary of every block as a table."""
    # Shares are of the function's range, and means of the multiplier: of the same one where all
    # blocks have one gain.
    gain = max(record.gain for record in analysis.records)
    low, high = NEAR_HALF
    share = {"format": "%.0f %%", "min_value": 0, "max_value": 100}
    columns = {
        "path": None,
        "stage": None,
        "channels": st.column_config.NumberColumn("Channels"),
        "mean": st.column_config.NumberColumn("Mean gate", format="%.3f"),
        "std": st.column_config.NumberColumn("Spread (std)", format="%.3f"),
        "near_0": st.column_config.ProgressColumn(f"Near 0 (< {gain * NEAR_ZERO:g})", **share),
        "near_half": st.column_config.ProgressColumn(
            f"Near {gain / 2:g} ({gain * low:g} to {gain * high:g})", **share
        ),
        "near_1": st.column_config.ProgressColumn(
            f"Near {gain:g} (> {gain * NEAR_ONE:g})", **share
        ),
    }
    summary = summarise_blocks(analysis.records)
    summary[["near_0", "near_half", "near_1"]] *= 100
    height = "content" if len(summary) <= 20 else 640
    names = summary["path"].tolist()
    show_rows(
        summary,
        names,
        key=keys.NUMBERS,
        column="block",
        column_config=columns,
        height=height,
        alt="Gates by block",
    )
    st.caption("Click a name to open the block, here and on every other page.")
    link_block(analysis)


def show_downloads(choices: Choices, analysis: Analysis) -> None:
    """Offer the gates as files; nothing is made before somebody asks for it."""
    name = choices.image.name
    records = analysis.records
    stem = f"gates-{choices.image.digest[:8]}"
    for column, (suffix, mime) in zip(
        st.columns(3),
        (
            (".csv", "text/csv"),
            (".parquet", "application/vnd.apache.parquet"),
            (".json", "application/json"),
        ),
        strict=True,
    ):
        column.download_button(
            f"Gates as {suffix[1:].upper() if suffix != '.parquet' else 'Parquet'}",
            lambda suffix=suffix: table_bytes(tabulate_gates(records, images=[name]), suffix),
            file_name=stem + suffix,
            mime=mime,
            key=f"{keys.DOWNLOAD}{suffix}",
            on_click="ignore",
            width="stretch",
        )
    if can_draw():
        _offer_graphics(choices, analysis, stem)


def _offer_graphics(choices: Choices, analysis: Analysis, stem: str) -> None:
    """Offer the picture of all gates as vector graphics, whose words stay words."""
    palette = current_palette()

    def draw(suffix: str) -> bytes:
        table = gather_gates(analysis.records)
        span = gate_span(choices.network.inspection.sites, table["gate"])
        return figure_bytes(draw_gates(table, palette, gates=span), suffix, palette)

    for column, (suffix, mime) in zip(
        st.columns(3), ((".svg", "image/svg+xml"), (".pdf", "application/pdf")), strict=False
    ):
        column.download_button(
            f"Picture of gates as {suffix[1:].upper()}",
            partial(draw, suffix),
            file_name=stem + suffix,
            mime=mime,
            key=f"{keys.DOWNLOAD}{suffix}",
            on_click="ignore",
            width="stretch",
        )
