"""The gate map on a page: a canvas that names each channel, opens blocks, and can be saved as a
picture or a page.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from streamlit.components.v2 import component

from se_viz.charts import draw_gates, lay_out_gates
from se_viz.ui.explore.canvas import CAMERA, read_asset
from se_viz.ui.session import open_place_on
from se_viz.ui.widgets import current_palette, offer_html

_canvas = component(
    "se_viz_gate_map",
    html='<div class="gate-map"><canvas aria-hidden="true"></canvas>'
    '<div class="rows" role="listbox" tabindex="0" aria-label="Gates of all blocks: one row a '
    "block, one column a "
    'channel. Up and down choose a block, left and right a channel, Enter opens the block."></div>'
    '<div class="cell" hidden></div><div class="tip" role="status" hidden></div>'
    f"{CAMERA}</div>",
    css=read_asset("gate_map.css"),
    js=read_asset("gate_map.js"),
)


def show_gate_map(
    table: Mapping[str, np.ndarray], key: str, *, channel: int = -1, **choices: Any
) -> None:
    """Show a gate table's columns with their downloads; a click opens a block, and on a cell its
    channel too.

    Choices are those of `draw_gates`; ``channel`` is the one that is marked in the framed row.
    """
    data = lay_out_gates(table, current_palette(), **choices) | {"channel": channel}
    paint_gates(data, key, partial(open_place_on, key))
    offer_html(key, partial(draw_gates, table, current_palette(), **choices))


def paint_gates(data: Mapping[str, Any], key: str, on_place: Callable[[], None]) -> None:
    """Paint what `lay_out_gates` returns, with the open channel; a click calls ``on_place``."""
    _canvas(key=key, data=data, on_place_change=on_place)
