"""Whose gates carried it: one number for each gate of the open block, by one of several methods."""

from typing import TypeAlias

import numpy as np
import pandas as pd
import streamlit as st

from se_viz.attribution.catalogue import GATE_METHODS, NO_GRAD_CAM
from se_viz.attribution.gates import GateAttribution
from se_viz.attribution.paths import Trace
from se_viz.charts import count_decimals, draw_effects, gate_span, signed
from se_viz.engine import Gates
from se_viz.engine.questions import AttributeToGates
from se_viz.experiments import Analysis, gates_of, tabulate_effects
from se_viz.gates.records import GateRecord
from se_viz.gates.tables import label_blocks
from se_viz.ui.asking import Choices, ask_with_bar
from se_viz.ui.session import keys, link_option, open_channel
from se_viz.ui.through_gates.rise import name_set, say_error
from se_viz.ui.widgets import announce, choose_block, current_palette, show_figure

Run: TypeAlias = tuple[Trace, str, str]
"""A trace, the set of gates that is shown of it, and its baseline."""

_WAY = "way"
_SHOWN = 8


def show_carriers(choices: Choices, analysis: Analysis, run: Run) -> None:
    """Show gate against what came through it for the open block, the strongest channels, and other
    methods.
    """
    titles = {_WAY: "Along the path, as above"} | {
        key: row.title for key, row in GATE_METHODS.items()
    }
    first, second = st.columns(2)
    with first:
        block = choose_block(analysis)
    link_option(keys.GATE_ATTRIBUTION, titles, _WAY)
    method = second.selectbox(
        "By",
        list(titles),
        format_func=titles.__getitem__,
        key=keys.GATE_ATTRIBUTION,
        persist_state="session",
        help=NO_GRAD_CAM,
    )
    # A container, so that what was there before holds its place meanwhile.
    with st.container():
        values, words, more = _values(choices, run, method, analysis.record(block))
    table = tabulate_effects(gates_of(analysis)[block], values)
    plot, numbers = st.columns([3, 2], gap="medium")
    with plot:
        _draw(
            choices,
            table,
            "slope (logits per unit of gate)" if method == "internal_influence" else "logits",
        )
    with numbers:
        st.markdown(_describe(table, label_blocks(analysis.records)[block]))
        _list_strongest(table)
        st.caption(words, help=more)


def _values(choices: Choices, run: Run, method: str, record: GateRecord) -> tuple[Gates, str, str]:
    """Return a number for each gate, what it is, and how it was computed."""
    trace, gate_set, baseline = run
    block = record.name
    if method == _WAY:
        # A block outside of the set is asked among all.
        name = gate_set if block in trace.flows[gate_set].through else next(iter(trace.flows))
        words = (
            "The part through each gate on the path from the baseline; gates held: "
            f"{name_set(name).lower()}."
        )
        return (
            trace.flows[name].through[block],
            words,
            f"Together with the part past the gates, {say_error(trace)}.",
        )
    row = GATE_METHODS[method]
    question = AttributeToGates(block, trace.target, method, baseline)
    if row.kind != "gradient":
        announce(choices, row.title, row.cost(record.gate.shape[1]), what="this block")
    attribution = ask_with_bar(
        choices, question, "Computing the parts of the gates…", key=keys.CARRIERS
    )
    return attribution.values, row.looks_for, f"{_say_bypass(attribution)}({row.source})"


def _say_bypass(attribution: GateAttribution) -> str:
    if attribution.bypass is None or attribution.error is None:
        return ""
    bypass = signed(attribution.bypass, count_decimals([attribution.bypass]))
    return (
        f"{bypass} logits of the rise bypass this block's gates; the sum over steps misses the "
        f"rest by {abs(attribution.error):.1g} logits. Captum adds up both as the convergence "
        "delta of a layer. "
    )


def _draw(choices: Choices, table: pd.DataFrame, title: str) -> None:
    figure = draw_effects(
        table,
        current_palette(),
        selected=keys.CHANNEL.get(),
        span=gate_span(choices.network.inspection.sites, table["gate"].to_numpy()),
        title=title,
    )
    show_figure(
        figure,
        keys.CARRIERS,
        alt="Gate against the part through it, one point a channel",
        on_click=open_channel,
    )
    st.caption(
        "Each point is a channel: above 0 its gate raised the logit, below 0 its gate lowered it. "
        "Click a point to open its channel."
    )


def _describe(table: pd.DataFrame, label: str) -> str:
    sizes = np.sort(table["effect"].abs().to_numpy())[::-1]
    if not sizes.any():
        return f"No gate of {label} carried any part of the rise."
    total = float(table["effect"].to_numpy().sum())
    half = int(np.searchsorted(sizes.cumsum(), sizes.sum() / 2)) + 1
    return (
        f"**{half} of {len(sizes)}** channels of {label} account for half of the total effect of "
        f"its gates, positive and negative; the sum is {signed(total, count_decimals([total]))}. "
        "The strongest:"
    )


def _list_strongest(table: pd.DataFrame) -> None:
    order = (-table["effect"].abs().to_numpy()).argsort(kind="stable")[:_SHOWN]
    with st.container(horizontal=True, gap="small"):
        for row in table.iloc[order].to_dict("records"):
            st.button(
                f"#{row['channel']} · gate {row['gate']:.2f} · {row['effect']:+.2g}",
                key=f"{keys.CARRIER}-{row['channel']}",
                on_click=_open,
                args=(row["channel"],),
            )


def _open(channel: int) -> None:
    keys.CHANNEL.set(channel)
