"""Links from one page to what it has opened on another."""

import streamlit as st

from se_viz.gates.records import GateRecord
from se_viz.ui.pickers import open_channel_of


def link_channel(record: GateRecord, label: str) -> None:
    """Show a link that opens the chosen channel of a block under the microscope."""
    channel = open_channel_of(record)
    # From `app.py`; a page that runs by itself has no others.
    if page := st.session_state.get("microscope_page"):
        st.page_link(page, label=f"Open channel {channel} of {label} under the microscope")
