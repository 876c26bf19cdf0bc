"""Widgets by which several pages let people choose the same things."""

from collections.abc import Mapping
from typing import TypeVar

import streamlit as st

from se_viz.analysis import Analysis
from se_viz.gates.tables import label_blocks

Option = TypeVar("Option", str, int)


def choose_block(analysis: Analysis) -> str:
    """Offer every block, at first the one whose gates differ most; return its name, which a click may have set."""
    labels = label_blocks(analysis.records)
    if st.session_state.get("block") not in labels:
        # The first sight should be a block that chooses, not one whose gates all stand open.
        st.session_state.block = max(analysis.records, key=lambda record: record.gate.std(correction=0).item()).name
    return st.selectbox(
        "Open block", list(labels), format_func=labels.__getitem__, key="block", persist_state="session"
    )


def choose_option(label: str, options: Mapping[Option, str], *, key: str, default: Option | None = None) -> Option:
    """Offer a few options side by side; the choice, at first ``default`` or the first one, survives the page."""
    return st.segmented_control(
        label,
        list(options),
        default=next(iter(options)) if default is None else default,
        required=True,
        format_func=options.__getitem__,
        key=key,
        persist_state="session",
    )
