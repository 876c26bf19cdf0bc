"""One channel: its feature map over the photo, and its gate for every image of a gallery."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from plotly.graph_objects import Figure

from se_viz.charts.dress import literal, make_figure, rule
from se_viz.charts.maps import draw_overlay
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import Span, fit_span
from se_viz.gates.peaks import Peak

_ROOM = 20


def draw_places(
    photo: Image.Image, features: np.ndarray, peaks: Sequence[Peak], palette: Palette, *, title: str
) -> Figure:
    """Lay a channel's (height, width) map over the photo, a flat square for each cell, and number
    its peaks.
    """
    cells = features.shape
    sides = (photo.height, photo.width)
    rows, columns = (
        np.arange(side) * count // side for side, count in zip(sides, cells, strict=True)
    )
    span = fit_span(features, signed=True)
    pixels = features[np.ix_(rows, columns)]
    figure = draw_overlay(photo, pixels, palette, span=span, opacity=0.75, title=title)
    high, wide = (side / count for side, count in zip(sides, cells, strict=True))
    for number, peak in enumerate(peaks, 1):
        left = peak.column * wide - 0.5
        top = peak.row * high - 0.5
        for line in ({"color": "#000000", "width": 4}, {"color": "#ffffff", "width": 2}):
            figure.add_shape(type="rect", x0=left, x1=left + wide, y0=top, y1=top + high, line=line)
        # Beside a small cell, which it would cover; below it where there is no room above.
        beside = (top, "bottom") if top > _ROOM else (top + high, "top")
        y, anchor = (top + high / 2, "middle") if high > _ROOM else beside
        figure.add_annotation(
            x=left + wide / 2,
            y=y,
            yanchor=anchor,
            text=f"<b>{number}</b>",
            showarrow=False,
            font={"color": "#ffffff", "size": 13},
            bgcolor="rgba(0,0,0,0.55)",
        )
    return figure


def draw_strip(
    values: Sequence[float], names: Sequence[str], palette: Palette, *, marked: int, span: Span
) -> Figure:
    """Draw one gate for each image as a dot on the gates' own scale, and the image ``marked`` as a
    diamond.
    """
    highlights = [index == marked for index in range(len(values))]
    marker = {
        "size": [15 if highlight else 10 for highlight in highlights],
        "symbol": ["diamond" if highlight else "circle" for highlight in highlights],
        "color": [
            palette.diverging[-2][1] if highlight else palette.faint for highlight in highlights
        ],
        "line": {
            "color": palette.ink,
            "width": [1.5 if highlight else 0 for highlight in highlights],
        },
        "opacity": 0.9,
    }
    dots = {
        "type": "scatter",
        "x": list(values),
        "y": [0.0] * len(values),
        "text": [literal(name) for name in names],
        "mode": "markers",
        "marker": marker,
        "cliponaxis": False,
        "hovertemplate": "%{text}<br>gate %{x:.3f}<extra></extra>",
    }
    layout = {
        "height": 112,
        "margin": {"l": 10, "r": 10, "t": 8, "b": 48},
        "dragmode": False,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "shapes": [rule(palette, x=span.middle)],
        "xaxis": {
            "title": "gate",
            "range": [span.low, span.high],
            "tickvals": [span.low, span.middle, span.high],
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": {"visible": False, "range": [-1, 1]},
    }
    return make_figure([dots], layout, palette)
