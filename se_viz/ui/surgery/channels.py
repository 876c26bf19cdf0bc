"""Which gates an edit is to change: picked in a figure, by their value, one by its number, or
all.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from se_viz.charts import Span, draw_choice
from se_viz.gates.surgery import GateEdit, set_gates
from se_viz.ui.session import keys, open_channel
from se_viz.ui.widgets import choose_option, current_palette, show_figure

_WAYS = {"picked": "By box", "clicked": "By click", "value": "By value", "one": "One", "all": "All"}
_SCOPES = {"block": "This block", "stage": "Its stage", "network": "Whole network"}
_ORDERS = {"gate": "gate", "channel": "index"}

Targets: TypeAlias = dict[str, tuple[int, ...] | None]
Change: TypeAlias = Callable[[GateEdit], None]


def choose_channels(
    name: str, table: pd.DataFrame, span: Span, *, change: Change, picture: DeltaGenerator
) -> Targets:
    """Let people choose gates of a table of `compare_gates`, beginning with those of one block.

    Return the channels of each block, None for all.

    ``change`` is given the edit that the slider of a single gate stands for; ``picture`` is where
    the gates are drawn.
    """
    way = choose_option("Which channels", _WAYS, key=keys.SURGERY_WAY)
    with picture:
        order = choose_option("Sort by", _ORDERS, key=keys.SURGERY_ORDER)
    block_rows = table.loc[table["path"] == name]
    # Another block, image or order is another figure: a box must not go on to pick what is now in
    # its place.
    place = f"{name}-{order}-{hash(tuple(block_rows['gate']))}"
    if way in ("picked", "clicked"):
        rows = block_rows.loc[block_rows["channel"].isin(_picked(place))]
    else:
        rows = {"value": _choose_by_value, "one": _choose_one, "all": _choose_all}[way](
            table, block_rows, span, change
        )
    with picture:
        _show_choice(block_rows, rows, span, way=way, order=order, place=place)
    return _targets(rows, table)


def _show_choice(
    block_rows: pd.DataFrame, rows: pd.DataFrame, span: Span, *, way: str, order: str, place: str
) -> None:
    channels = rows.loc[rows["path"] == block_rows["path"].iloc[0], "channel"].to_numpy()
    figure = draw_choice(
        block_rows,
        current_palette(),
        order=order,
        selection=channels,
        span=span,
        areas=way == "picked",
    )
    click = {
        "picked": partial(_note_area, place),
        "clicked": partial(_note_click, place),
        "one": open_channel,
    }.get(way)
    with st.container(key=keys.PICK):
        key = f"{keys.PICK}-{place}-{way}"
        alt = "Gates of the open block"
        show_figure(figure, key, alt=alt, on_click=click, areas=way == "picked")
        if way == "clicked":
            st.caption(
                "Click to select or deselect a channel; double-click the background to clear."
            )


def _picked(place: str) -> tuple[int, ...]:
    last, channels = keys.PICKED.get()
    return channels if last == place else ()


def _note_area(place: str, chart: str) -> None:
    points = keys.value_of(chart).selection.points
    keys.PICKED.set((place, tuple(int(point["customdata"]) for point in points)))


def _note_click(place: str, chart: str) -> None:
    points = keys.value_of(chart).selection.points
    channels = {int(point["customdata"]) for point in points}
    if channels:
        keys.CHANNEL.set(min(channels))
    keys.PICKED.set((place, tuple(channels ^ {*_picked(place)} if channels else ())))


def _choose_by_value(
    table: pd.DataFrame, block_rows: pd.DataFrame, span: Span, _: Change
) -> pd.DataFrame:
    scope = _choose_all(table, block_rows)
    ends = float(span.low), float(span.high)
    # Another network's scale is another slider: a value kept from the first may lie outside of the
    # second.
    key = f"{keys.SURGERY_RANGE}-{ends[0]:g}-{ends[1]:g}"
    step = (ends[1] - ends[0]) / 100
    low, high = st.slider("Gates from … to …", *ends, ends, step, key=key, persist_state="session")
    return scope.loc[scope["after"].between(low, high)]


def _choose_one(
    _: pd.DataFrame, block_rows: pd.DataFrame, span: Span, change: Change
) -> pd.DataFrame:
    last = len(block_rows) - 1
    keys.CHANNEL.set(min(max(int(keys.CHANNEL.get() or 0), 0), last))
    number, value = st.columns([2, 3])
    channel = int(
        number.number_input("Channel", 0, last, key=keys.CHANNEL.name, persist_state="session")
    )
    row = block_rows.loc[block_rows["channel"] == channel]
    key = f"{keys.SURGERY_GATE}-{block_rows['path'].iloc[0]}-{channel}"
    # What it is now, whoever changed it: undo moves the handle too.
    keys.set_value(key, float(np.clip(row["after"].iloc[0], span.low, span.high)))
    block = _block_of(row).iloc[0]
    value.slider(
        f"Gate of channel {channel}",
        float(span.low),
        float(span.high),
        step=0.01,
        key=key,
        on_change=lambda: change(set_gates(block, keys.value_of(key), channels=[channel])),
    )
    return row


def _choose_all(table: pd.DataFrame, block_rows: pd.DataFrame, *_: object) -> pd.DataFrame:
    scope = choose_option("Where", _SCOPES, key=keys.SURGERY_SCOPE)
    stage = block_rows["stage"].iloc[0]
    return {"block": block_rows, "stage": table.loc[table["stage"] == stage], "network": table}[
        scope
    ]


def _targets(rows: pd.DataFrame, table: pd.DataFrame) -> Targets:
    width = table.groupby(_block_of(table))["channel"].nunique()
    channels = rows.groupby(_block_of(rows), sort=False)["channel"].unique()
    return {
        str(block): None if len(numbers) == width[block] else tuple(map(int, numbers))
        for block, numbers in channels.items()
    }


def _block_of(rows: pd.DataFrame) -> pd.Series:
    """Return each row's block; uses of one block in a pass have a number behind its path."""
    return pd.Series([path.partition("#")[0] for path in rows["path"]], index=rows.index)
