"""Gates of one block in order of size, and which of them stand out."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from se_viz.charts.dress import dress
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import GATES, Span


def draw_threshold(gates: np.ndarray, threshold: float, palette: Palette, *, span: Span = GATES) -> go.Figure:
    """Draw a block's gates from the widest open down, those above a threshold in the accent, with a rule at 0.5."""
    ordered = np.sort(gates)[::-1]
    kept = int((ordered > threshold).sum())
    ranks = np.arange(1, len(gates) + 1)
    parts = (("kept", slice(0, kept), palette.accent), ("left out", slice(kept, None), palette.faint))
    bars = [
        {
            "type": "bar",
            "name": f"{name}: {len(ordered[part])}",
            "x": ranks[part],
            "y": (ordered[part] - span.low).astype(np.float32),
            "base": span.low,
            "marker": {"color": colour, "line": {"width": 0}},
            "hoverinfo": "skip",
        }
        for name, part, colour in parts
    ]
    layout = {
        "height": 350,
        "margin": {"l": 0, "r": 4, "t": 8, "b": 0},
        "dragmode": False,
        "bargap": 0,
        "barmode": "overlay",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        "shapes": [_rule(span.middle, palette.faint, "dot"), _rule(threshold, palette.ink, "solid")],
        "xaxis": {"title": {"text": "channels, sorted"}, "range": [0.5, len(gates) + 0.5], "showgrid": False},
        "yaxis": {"title": {"text": "gate s"}, "range": [span.low, span.high], "showgrid": False, "zeroline": False},
    }
    return dress(go.Figure({"data": bars, "layout": layout}, skip_invalid=False), palette)


def _rule(height: float, colour: str, dash: str) -> dict[str, Any]:
    line = {"color": colour, "width": 1.5, "dash": dash}
    return {"type": "line", "x0": 0, "x1": 1, "y0": height, "y1": height, "xref": "paper", "line": line}
