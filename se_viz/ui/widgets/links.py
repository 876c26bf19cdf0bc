"""Links from one page to what it has opened on another, and tables whose rows open a block."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from se_viz.experiments import Analysis
from se_viz.gates.records import GateRecord
from se_viz.gates.tables import label_blocks
from se_viz.ui.navigation import link_page
from se_viz.ui.session import keys
from se_viz.ui.widgets.pickers import open_block_of, open_channel_of


def link_channel(record: GateRecord, label: str) -> None:
    """Show a link to the page that opens the chosen channel of a block."""
    channel = open_channel_of(record)
    link_page("microscope", f"Open a gate: channel {channel} of {label}")


def link_block(analysis: Analysis) -> None:
    """Show the link for the block that is open on every page."""
    name = open_block_of(analysis)
    link_channel(analysis.record(name), label_blocks(analysis.records)[name])


def show_rows(table: pd.DataFrame, names: Sequence[str], *, key: str, **options: Any) -> None:
    """Show a table with a row a block.

    A click on one opens the block of that name, if it has one.
    """
    st.dataframe(
        table,
        key=key,
        on_select=partial(_open_row, key, tuple(names)),
        selection_mode="single-cell",
        hide_index=True,
        **options,
    )


def _open_row(key: str, names: tuple[str, ...]) -> None:
    cells = keys.value_of(key).selection.cells
    if cells and names[cells[0][0]]:
        keys.BLOCK.set(names[cells[0][0]])


def link_attributions() -> None:
    """Show a link to the page that puts methods side by side, for the same class."""
    link_page("attribution", "All methods side by side")
