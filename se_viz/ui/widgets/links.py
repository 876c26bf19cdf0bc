"""Links from one page to what it has opened on another, and tables whose rows open a block."""

from collections.abc import Mapping, Sequence
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


def show_rows(
    table: pd.DataFrame,
    names: Sequence[str],
    *,
    key: str,
    column: str,
    column_config: Mapping[str, Any],
    **options: Any,
) -> None:
    """Show a table with a row a block, whose name in ``column`` is a button that opens it.

    Only a press opens one: the keyboard's way through the cells changes nothing. Rows without a
    name have no button.
    """
    config = dict(column_config)
    if any(names):
        config[column] = st.column_config.ButtonColumn(
            "Block",
            pinned=True,
            alignment="left",
            type="tertiary",
            on_click=_open_row,
            args=(key, tuple(names)),
            key=f"{keys.OPEN_ROW}-{key}",
        )
    st.dataframe(table, column_config=config, hide_index=True, **options)


def _open_row(key: str, names: tuple[str, ...]) -> None:
    row = keys.value_of(f"{keys.OPEN_ROW}-{key}").row
    if names[row]:
        keys.BLOCK.set(names[row])


def link_attributions() -> None:
    """Show a link to the page that puts methods side by side, for the same class."""
    link_page("attribution", "All methods side by side")
