"""Which gates an edit is to change: picked in a figure, by their value, one by its number, or all."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pandas as pd
import streamlit as st

from se_viz.analysis import Analysis
from se_viz.charts.scales import Span
from se_viz.charts.surgery import draw_choice
from se_viz.gates.surgery import GateEdit, set_gates
from se_viz.ui.choices import current_palette
from se_viz.ui.figures import show_figure
from se_viz.ui.pickers import choose_block, choose_option

_WAYS = {"picked": "In the figure", "value": "By value", "one": "One", "all": "All"}
_SCOPES = {"block": "This block", "stage": "Its stage", "network": "Whole network"}
_ORDERS = {"gate": "gate", "channel": "index"}

Targets: TypeAlias = dict[str, tuple[int, ...] | None]


def choose_channels(
    before: Analysis, table: pd.DataFrame, span: Span, *, change: Callable[[GateEdit], None]
) -> Targets:
    """Let people choose gates of a table of `compare_gates`; return the channels of each block, None for all.

    ``change`` is given the edit that the slider of a single gate stands for.
    """
    name = choose_block(before)
    with st.container(horizontal=True):
        way = choose_option("Which channels", _WAYS, key="surgery-way")
        order = choose_option("Sort by", _ORDERS, key="surgery-order")
    here = table.loc[table["path"] == name]
    picked = None
    if way == "value":
        picked = _choose_by_value(table, here, span)
    elif way == "one":
        picked = _choose_one(here, span, change)
    elif way == "all":
        picked = _in_scope(table, here)
    return _targets(_show_choice(here, span, order, picked), table)


def _choose_by_value(table: pd.DataFrame, here: pd.DataFrame, span: Span) -> pd.DataFrame:
    scope = _in_scope(table, here)
    ends = float(span.low), float(span.high)
    # Another network's scale is another slider: a value kept from the first may lie outside of the second.
    key = f"surgery-range-{ends[0]:g}-{ends[1]:g}"
    step = (ends[1] - ends[0]) / 100
    low, high = st.slider("Gates from … to …", *ends, ends, step, key=key, persist_state="session")
    return scope.loc[scope["after"].between(low, high)]


def _choose_one(here: pd.DataFrame, span: Span, change: Callable[[GateEdit], None]) -> pd.DataFrame:
    last = len(here) - 1
    st.session_state.channel = min(max(int(st.session_state.get("channel") or 0), 0), last)
    number, value = st.columns([2, 3])
    channel = int(number.number_input("Channel", 0, last, key="channel", persist_state="session"))
    row = here.loc[here["channel"] == channel]
    key = f"surgery-gate-{here['path'].iloc[0]}-{channel}"
    # What it is now, whoever changed it: undo moves the handle too.
    st.session_state[key] = float(np.clip(row["after"].iloc[0], span.low, span.high))
    block = _block_of(row).iloc[0]
    value.slider(
        f"Gate of channel {channel}",
        float(span.low),
        float(span.high),
        step=0.01,
        key=key,
        on_change=lambda: change(set_gates(block, st.session_state[key], channels=[channel])),
    )
    return row


def _in_scope(table: pd.DataFrame, here: pd.DataFrame) -> pd.DataFrame:
    scope = choose_option("Where", _SCOPES, key="surgery-scope")
    stage = here["stage"].iloc[0]
    return {"block": here, "stage": table.loc[table["stage"] == stage], "network": table}[scope]


def _show_choice(here: pd.DataFrame, span: Span, order: str, picked: pd.DataFrame | None) -> pd.DataFrame:
    """Show the gates of the open block with those that are picked; None: what a box or a lasso has picked in it."""
    name = here["path"].iloc[0]
    # Another block, image or order is another figure: a box must not go on to pick what is now in its place.
    key = f"pick-{name}-{order}-{hash(tuple(here['gate']))}-{'areas' if picked is None else 'all'}"
    areas, alt = picked is None, "Gates of the open block"
    chart, chosen = st.session_state.get("picked", ("", ()))
    rows = here.loc[here["channel"].isin(chosen if chart == key else ())] if picked is None else picked
    channels = rows.loc[rows["path"] == name, "channel"].to_numpy()
    stressed = None if areas and not channels.size else channels
    figure = draw_choice(here, current_palette(), order=order, picked=stressed, span=span)
    with st.container(key="pick"):
        show_figure(figure, key, alt=alt, on_click=_note_picked if areas else None, areas=areas)
    return rows


def _note_picked(chart: str) -> None:
    points = st.session_state[chart].selection.points
    st.session_state.picked = chart, tuple(int(point["customdata"]) for point in points)


def _targets(rows: pd.DataFrame, table: pd.DataFrame) -> Targets:
    width = table.groupby(_block_of(table))["channel"].nunique()
    channels = rows.groupby(_block_of(rows), sort=False)["channel"].unique()
    return {
        str(block): None if len(chosen) == width[block] else tuple(map(int, chosen))
        for block, chosen in channels.items()
    }


def _block_of(rows: pd.DataFrame) -> pd.Series:
    """Return each row's block; uses of one block in a pass have a number behind its path."""
    return pd.Series([path.partition("#")[0] for path in rows["path"]], index=rows.index)
