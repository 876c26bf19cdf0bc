"""Gates of one block in order of size, and which of them stand out."""

from typing import Any

import numpy as np
from plotly.graph_objects import Figure

from se_viz.charts.dress import make_figure
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import GATES, Span


def draw_threshold(
    gates: np.ndarray, threshold: float, palette: Palette, *, span: Span = GATES
) -> Figure:
    """Draw a block's gates from the widest open down, those above a threshold in the accent, with
    a rule at 0.5.
    """
    ordered = np.sort(gates)[::-1]
    count = int((ordered > threshold).sum())
    still = {"showgrid": False, "zeroline": False}
    layout = {
        "height": 350,
        "margin": {"l": 0, "r": 4, "t": 8, "b": 0},
        "dragmode": False,
        "bargap": 0,
        "barmode": "overlay",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        "shapes": [
            _rule(span.middle, palette.faint, "dot"),
            _rule(threshold, palette.ink, "solid"),
        ],
        "xaxis": {**still, "title": "channels, widest first", "range": [0.5, len(gates) + 0.5]},
        "yaxis": {**still, "title": "gate s", "range": [span.low, span.high]},
    }
    parts = (
        ("kept", slice(0, count), palette.accent),
        ("left out", slice(count, None), palette.faint),
    )
    bars = [
        _bars(name, ordered, part, {"color": colour, "base": span.low})
        for name, part, colour in parts
    ]
    return make_figure(bars, layout, palette)


def _bars(name: str, ordered: np.ndarray, part: slice, look: dict[str, Any]) -> dict[str, Any]:
    values = ordered[part]
    return {
        "type": "bar",
        "name": f"{name}: {len(values)}",
        "x": np.arange(1, len(ordered) + 1)[part],
        "y": (values - look["base"]).astype(np.float32),
        # Bars grow from the lower end of the scale, which need not be 0.
        "base": look["base"],
        "marker": {"color": look["color"], "line": {"width": 0}},
        "hoverinfo": "skip",
    }


def _rule(height: float, colour: str, dash: str) -> dict[str, Any]:
    line = {"color": colour, "width": 1.5, "dash": dash}
    return {
        "type": "line",
        "x0": 0,
        "x1": 1,
        "y0": height,
        "y1": height,
        "xref": "paper",
        "line": line,
    }
