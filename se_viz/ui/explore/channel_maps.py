"""Channels of the open block before and after scaling: canvases that choose channels, and can be
saved as a picture or a page.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from streamlit.components.v2 import component

from se_viz.charts import draw_channels, lay_out_channels
from se_viz.gates.records import GateRecord
from se_viz.ui.explore.canvas import CAMERA, read_asset
from se_viz.ui.session import keys, open_channel_on
from se_viz.ui.widgets import current_palette, offer_html, show_figure

_canvases = component(
    "se_viz_channel_maps",
    html='<div class="channel-maps" role="group" aria-label="Feature maps of channels before and '
    f'after scaling"><div class="maps"></div>{CAMERA}</div>',
    css=read_asset("channel_maps.css"),
    js=read_asset("channel_maps.js"),
)


def show_channel_maps(record: GateRecord, channels: Sequence[int], key: str) -> None:
    """Show channels of a block before and after scaling with their downloads.

    A click chooses a channel. The record has to hold the block's feature maps.
    """
    features, gates = _arrays(record)
    palette = current_palette()
    if features.ndim != 3:
        # Canvases paint pictures; curves and slices are Plotly's.
        figure = draw_channels(features, gates, channels, palette)
        show_figure(figure, key, alt="Channels before and after scaling")
        return
    data = lay_out_channels(features, gates, channels, palette)
    data |= {"name": key, "open": keys.CHANNEL.get()}
    _canvases(key=key, data=data, on_channel_change=partial(open_channel_on, key))
    offer_html(key, partial(draw_channels, features, gates, channels, palette))


def _arrays(record: GateRecord) -> tuple[np.ndarray, np.ndarray]:
    assert record.features is not None
    return record.features[0].numpy(), record.gate[0].numpy()
