"""Maps over photos and feature maps in pairs: where something is, and how a gate changed it."""

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from plotly.graph_objects import Figure

from se_viz.charts.channel_maps import ROWS, encode_pair
from se_viz.charts.dress import colour_axis, divide, make_figure
from se_viz.charts.frames import frame_shape
from se_viz.charts.grids import spread
from se_viz.charts.other_shapes import choose_slices, draw_curves, slice_slider
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import CODE_RANGE, Span, coded_scale, encode

_GAP = 0.012
"""Between two pairs of maps, as a share of the figure's width."""
_COLOURS = {"type": "heatmap", "coloraxis": "coloraxis", "hoverinfo": "skip"}


def draw_overlay(
    photo: Image.Image,
    values: np.ndarray,
    palette: Palette,
    *,
    span: Span,
    opacity: float,
    title: str,
    frame: tuple[float, float, float, float] | None = None,
) -> Figure:
    """Lay a map over the photo, in grey so that only the map has colour.

    Values are (height, width), or of another input those that `spread` lays out on its picture.

    Where the map is 0 it is clear. A ``span`` that goes below 0 has the colours of a signed map.
    ``opacity`` runs from 0 (photo only) to 1. ``frame`` is a region that is
    marked, see `frame_photo`.
    """
    values = spread(values)
    height, width = values.shape
    heat = {"z": encode(values, span), "opacity": opacity, "zsmooth": False}
    bar = {"thickness": 10, "y": -0.02, "yanchor": "top"}
    still = {"visible": False, "constrain": "domain"}
    layout = {
        "height": 466,
        # Above the map there is room for the camera, which would lie on it.
        "margin": {"l": 0, "r": 0, "t": 34, "b": 34},
        "dragmode": False,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "coloraxis": colour_axis(
            palette.veil if span.low < 0 else palette.glow, palette, span, title=title, **bar
        ),
        "images": [{**photo_layer(photo, width, height), "xref": "x", "yref": "y"}],
        "xaxis": {**still, "range": [-0.5, width - 0.5]},
        "yaxis": {**still, "range": [height - 0.5, -0.5], "scaleanchor": "x"},
        "shapes": [frame_shape(frame, width, height, palette)] if frame else [],
    }
    return make_figure([_COLOURS | heat], layout, palette)


def draw_channels(
    features: np.ndarray, gates: np.ndarray, channels: Sequence[int], palette: Palette
) -> Figure:
    """Draw chosen channels of one block before scaling (top) and after (below).

    ``features`` is U, (channels, height, width); ``gates`` is s, (channels,). Each pair shares one
    scale, symmetric about 0, so that only the gate changes the colour. A signal, (channels,
    length), is drawn as curves, and a volume, (channels, depth, height, width), by slices with a
    slider: all, or 32 of them.
    """

    def heading(channel: int, x: float) -> dict[str, Any]:
        return _heading(f"#{channel}<br>s = {gates[channel]:.2f}", x)

    if features.ndim == 2:
        return draw_curves(features, gates, channels, palette, heading)
    volume = features if features.ndim == 4 else features[:, None]
    slices = choose_slices(volume.shape[1])
    middle = len(slices) // 2
    layout = _lay_out(channels, volume.shape[2:], palette)
    layout["annotations"] = [
        heading(channel, sum(across) / 2)
        for channel, across in zip(channels, divide(len(channels), _GAP), strict=True)
    ]
    if len(slices) > 1:
        layout["sliders"] = [slice_slider(slices, middle, 2 * len(channels))]
        layout |= {"height": 384, "margin": {**layout["margin"], "r": 12, "b": 104}}
    # Of the whole volume: slices share the scale too.
    pairs = [encode_pair(volume, gates, channel)[:, slices] for channel in channels]
    data = [
        {
            **_COLOURS,
            "z": pair[line, at],
            "visible": at == middle,
            "xaxis": f"x{line * len(channels) + column}",
            "yaxis": f"y{line * len(channels) + column}",
        }
        for at in range(len(slices))
        for column, pair in enumerate(pairs, 1)
        for line in range(2)
    ]
    return make_figure(data, layout, palette)


def _lay_out(channels: Sequence[int], shape: tuple[int, ...], palette: Palette) -> dict[str, Any]:
    """Return the layout of pairs of maps beside each other."""
    layout: dict[str, Any] = {
        "height": 284,
        "margin": {"l": 46, "r": 0, "t": 66, "b": 4},
        "dragmode": False,
        "coloraxis": {
            "colorscale": coded_scale(palette.diverging, palette),
            "cmin": CODE_RANGE[0],
            "cmax": CODE_RANGE[1],
            "showscale": False,
        },
        "showlegend": False,
        "plot_bgcolor": "rgba(0,0,0,0)",
    }
    for column, across in enumerate(divide(len(channels), _GAP)):
        for line, down in enumerate(reversed(divide(2, 0.03))):
            number, word = line * len(channels) + column + 1, "" if column else ROWS[line]
            layout |= _axes(number, shape, {"x": across, "y": down}, title=word)
    return layout


def _heading(text: str, x: float) -> dict[str, Any]:
    place = {
        "x": x,
        "y": 1,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "center",
        "yanchor": "bottom",
    }
    return {"text": text, "font": {"size": 16}, "showarrow": False, **place}


def _axes(
    number: int, shape: tuple[int, ...], domains: dict[str, Any], *, title: str
) -> dict[str, Any]:
    words = (
        {"title": title, "showticklabels": False, "ticks": "", "showgrid": False}
        if title
        else {"visible": False}
    )
    x = {
        "range": [-0.5, shape[1] - 0.5],
        "domain": domains["x"],
        "anchor": f"y{number}",
        "constrain": "domain",
    }
    y = {
        "range": [shape[0] - 0.5, -0.5],
        "domain": domains["y"],
        "anchor": f"x{number}",
        "constrain": "domain",
    }
    # A pixel of a map is a square, also where the page is narrow.
    square = {"scaleanchor": f"x{number}", "constraintoward": "top"}
    return {f"xaxis{number}": {"visible": False, **x}, f"yaxis{number}": {**y, **square, **words}}


def photo_layer(photo: Image.Image, width: int, height: int) -> dict[str, Any]:
    """Return the layout of a photo in grey below a map of this size."""
    place = {"x": -0.5, "y": -0.5, "sizex": width, "sizey": height}
    return {"source": _data_uri(photo.convert("L")), "sizing": "stretch", "layer": "below", **place}


def _data_uri(photo: Image.Image) -> str:
    file = BytesIO()
    photo.save(file, "JPEG", quality=92)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
