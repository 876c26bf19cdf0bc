"""Gates of both networks, from the first block to the last, on one scale."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from se_viz.charts import Span, draw_depth, gate_span
from se_viz.experiments import tabulate_depth
from se_viz.gates.tables import gather_gates
from se_viz.ui.glossary import explain
from se_viz.ui.session import keys
from se_viz.ui.two_networks.members import Member
from se_viz.ui.widgets import current_palette, show_figure


def show_gates(first: Member, second: Member) -> None:
    """Show mean and spread of every block's gates by depth, or say which network has none."""
    st.header("Gates by depth", anchor=False, divider="gray")
    members = first, second
    gated = [member for member in members if member.analysis.records]
    if not gated:
        st.info(
            "Neither network has SE blocks, so that there are no gates to compare. Choose another "
            "network here or in the sidebar."
        )
        return
    for member in members:
        if member not in gated:
            st.markdown(
                f"{member.title} has no SE blocks: every channel goes on as it is, as if every "
                "gate were 1."
            )
    tables = {
        member.name: tabulate_depth(member.analysis.records) if member in gated else pd.DataFrame()
        for member in members
    }
    figure = draw_depth(tables, current_palette(), gates=_span_of(gated))
    show_figure(figure, keys.PAIR_GATES, alt="Mean and spread of gates by depth, block by block")
    st.caption(
        "Each mark is a block: a low mean turns channels down, a wide spread tells them apart. "
        "Look for depths where one network does more than the other.",
        help=explain(
            "gate",
            "block",
            more="Depth runs from the first block to the last one of each network, whatever their "
            "number. The spread is the standard deviation over the channels of a block.",
        ),
    )


def _span_of(members: Sequence[Member]) -> Span:
    """Return one scale for the gates of all."""
    spans = [
        gate_span(
            member.choices.network.inspection.sites,
            np.asarray(gather_gates(member.analysis.records)["gate"]),
        )
        for member in members
    ]
    return Span(min(span.low for span in spans), max(span.high for span in spans))
