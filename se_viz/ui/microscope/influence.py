"""Which squeezes move a gate, on a page: one row of the block's Jacobian as a list, all of it as a
picture.
"""

import numpy as np
import streamlit as st

from se_viz.charts import CELLS, CLIPPED, draw_cells, draw_row, draw_strongest
from se_viz.engine.questions import DifferentiateBlock, DifferentiateGate
from se_viz.gates import GateRecord
from se_viz.gates.jacobian import Pattern, Strongest
from se_viz.ui.asking import Choices, answer, page_part
from se_viz.ui.session import keys, open_channel, waiting
from se_viz.ui.widgets import choose_option, current_palette, show_figure

_EACH = 8
_STRONGEST = 24
_VIEWS = {"all": "All, averaged", "strongest": f"The {_STRONGEST} strongest"}


@page_part
def show_influence(choices: Choices, record: GateRecord, channel: int) -> None:
    """Show which squeezes move a channel's gate most, and beside it how all squeezes move all
    gates of the block.
    """
    with waiting("Differentiating the block…") as watch:
        row = answer(choices, DifferentiateGate(record.name, channel), watch)
        whole = answer(choices, DifferentiateBlock(record.name, CELLS, _STRONGEST), watch)
    left, right = st.columns([2, 3], gap="large")
    with left:
        _show_row(row, channel)
    with right:
        view = choose_option("Gates and squeezes", _VIEWS, key=keys.JACOBIAN_VIEW)
        if view == "all":
            _show_cells(whole.cells, whole.pattern, channel)
        else:
            _show_strongest(whole.strongest, channel)


def rank_influences(row: np.ndarray, each: int = _EACH) -> list[int]:
    """Return the channels with the largest positive and the most negative entries of a row, from
    up to down.
    """
    order = [int(channel) for channel in np.argsort(-row, kind="stable")]
    up = [channel for channel in order[:each] if row[channel] > 0]
    down = [channel for channel in order[-each:] if row[channel] < 0]
    return [*up, *(channel for channel in down if channel not in up)]


def _show_row(row: np.ndarray, channel: int) -> None:
    channels = rank_influences(row)
    if not channels:
        st.info(
            f"No squeeze moves the gate of channel {channel} here: every slope is 0. Open another "
            "channel."
        )
        return
    palette = current_palette()
    figure = draw_row(row, channels, palette, own=channel)
    alt = f"The channels whose squeezes move gate {channel} most"
    show_figure(figure, keys.INFLUENCE, alt=alt, on_click=open_channel)
    st.caption(
        f"{palette.high_name.capitalize()} channels turn gate {channel} up, {palette.low_name} "
        "channels turn it down. Click a bar to open its channel.",
        help=f"The exact derivative of gate {channel} by the mean of channel k, all other means "
        "fixed, through the "
        "block's own layers.",
    )


def _show_cells(cells: np.ndarray, pattern: Pattern, channel: int) -> None:
    size = len(pattern.rows)
    row, column = (int((order == channel).nonzero()) for order in (pattern.rows, pattern.columns))
    figure = draw_cells(cells, current_palette(), size=size, mark=(row, column))
    show_figure(
        figure, keys.JACOBIAN, alt="The derivatives of all gates of the block by all squeezes"
    )
    side = size / CELLS
    averaged = (
        f" Each cell is the mean of about {side:.0f} x {side:.0f} entries." if side > 1 else ""
    )
    st.caption(
        f"Row c, column k: how squeeze k moves gate c, for all {size} channels; triangles mark "
        f"channel {channel}. Were channels independent, each row would have one coloured entry.",
        help="Sorted by the first singular vectors, a pattern that makes up "
        f"{pattern.share:.0%} of all squared entries.{averaged} {CLIPPED}",
    )


def _show_strongest(strongest: Strongest, channel: int) -> None:
    gates = strongest.rows.tolist()
    squeezes = strongest.columns.tolist()
    figure = draw_strongest(
        strongest.values.numpy(), gates, squeezes, current_palette(), own=channel
    )
    alt = "The derivatives of the gates that react most by the squeezes that move them most"
    show_figure(figure, keys.STRONGEST, alt=alt, on_click=open_channel)
    st.caption(
        "A row of many colours is a gate that many channels move. Click a row to open its channel.",
        help=f"Exact entries: the {len(gates)} gates that react most (rows) to the {len(squeezes)} "
        "squeezes that move "
        "them most (columns), by the sum of their squared entries, the strongest first.",
    )
