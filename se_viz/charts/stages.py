"""Small maps over a photo, with the gates that stand behind each of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from plotly.graph_objects import Figure

from se_viz.charts.dress import colour_axis, make_figure
from se_viz.charts.grids import spread
from se_viz.charts.maps import photo_layer
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import GATES, Span, encode

_POINTS = 65
# Heights in pixels: the map, its bar of colours, and the gates with what stands around them.
_MAP = 260
_BAR = 50
_CURVES = 165
_GAP = 30
_FOOT = 30


def draw_panel(
    photo: Image.Image,
    values: np.ndarray,
    palette: Palette,
    *,
    span: Span,
    title: str,
    curves: Mapping[str, np.ndarray] | None = None,
    gates: Span = GATES,
) -> Figure:
    """Lay a map over a photo in grey, as `draw_overlay` does, on the colours of ``span``: signed if
    it goes below 0.

    ``curves`` are the gates of blocks by their label, drawn below it sorted from the widest open
    down, on the scale ``gates`` with a rule at its middle; the last one stands out.
    """
    values = spread(values)
    names = list(curves or {})
    lines = [
        _curve(label, curve, palette, last=label == names[-1])
        for label, curve in (curves or {}).items()
    ]
    total = _MAP + _BAR + (_CURVES if lines else 0)
    bottom = 1 - _MAP / total
    bar = {"thickness": 8, "x": 0.5, "len": 0.9, "y": bottom - 8 / total, "yanchor": "top"}
    layout: dict[str, Any] = {
        "height": total,
        "margin": {"l": 0, "r": 2, "t": 0, "b": 0},
        "dragmode": False,
        "showlegend": False,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "coloraxis": colour_axis(
            palette.veil if span.low < 0 else palette.glow, palette, span, title=title, **bar
        ),
        **_map_axes(photo, values.shape, bottom),
        **(_gate_axes(palette, gates) if lines else {}),
    }
    heat = {
        "type": "heatmap",
        "z": encode(values, span),
        "coloraxis": "coloraxis",
        "hoverinfo": "skip",
        "opacity": 0.85,
    }
    return make_figure([heat, *lines], layout, palette)


def _map_axes(photo: Image.Image, shape: tuple[int, ...], bottom: float) -> dict[str, Any]:
    height, width = shape
    still = {"visible": False, "constrain": "domain"}
    up = {
        "range": [height - 0.5, -0.5],
        "domain": [bottom, 1],
        "scaleanchor": "x",
        "constraintoward": "bottom",
    }
    return {
        "images": [{**photo_layer(photo, width, height), "xref": "x", "yref": "y"}],
        "xaxis": {**still, "range": [-0.5, width - 0.5], "anchor": "y"},
        "yaxis": {**still, **up},
    }


def _gate_axes(palette: Palette, gates: Span) -> dict[str, Any]:
    total = _MAP + _BAR + _CURVES
    rule = {"color": palette.faint, "width": 1, "dash": "dot"}
    level = {"x0": 0, "x1": 1, "y0": gates.middle, "y1": gates.middle, "xref": "x2", "yref": "y2"}
    still = {"showgrid": False, "zeroline": False, "automargin": False}
    up = {
        "range": [gates.low, gates.high],
        "tickvals": [gates.low, gates.middle, gates.high],
        "tickformat": ".2~g",
    }
    down = [_FOOT / total, 1 - (_MAP + _BAR + _GAP) / total]
    words = "gate s of channels, widest first"
    return {
        "xaxis2": {
            **still,
            "range": [0, 1],
            "domain": [0.12, 1],
            "anchor": "y2",
            "tickvals": [],
            "title": words,
        },
        "yaxis2": {**still, **up, "domain": down, "anchor": "x2"},
        "shapes": [{"type": "line", "line": rule, "layer": "below", **level}],
    }


def _curve(label: str, gates: np.ndarray, palette: Palette, *, last: bool) -> dict[str, Any]:
    # A curve of a few points looks the same, and blocks of all widths fit one axis.
    places = np.linspace(0, 1, min(_POINTS, len(gates)))
    ordered = np.sort(gates)[::-1]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": label,
        "x": places,
        "y": np.interp(places * (len(gates) - 1), np.arange(len(gates)), ordered).astype(
            np.float32
        ),
        "xaxis": "x2",
        "yaxis": "y2",
        "line": {"color": palette.accent if last else palette.faint, "width": 2.5 if last else 1},
        "hovertemplate": f"<b>{label}</b><br>gate %{{y:.3f}}<extra></extra>",
    }
