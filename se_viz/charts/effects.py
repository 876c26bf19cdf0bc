"""Gate against effect: one point a channel."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from se_viz.charts.dress import LAYOUT, LEGEND, make_figure, rule
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import GATES, Span


def draw_effects(
    table: pd.DataFrame,
    palette: Palette,
    *,
    useless: Collection[int] = (),
    decisive: Collection[int] = (),
    selected: int | None = None,
    span: Span = GATES,
    title: str = "effect (logits)",
) -> Figure:
    """Draw a table of effects: gate on its fixed scale, signed effect symmetric about 0.

    Channels in ``useless`` and ``decisive`` are marked and named, ``selected`` is ringed. Points
    carry the channel's number as custom data, so that a click can open it.
    """
    channels = table["channel"]
    # 0 for the others, 1 for the useless, 2 for the decisive: the order of `looks`.
    kinds = np.where(channels.isin(list(useless)), 1, np.where(channels.isin(list(decisive)), 2, 0))
    looks = (
        ("all other channels", palette.faint, "circle", 6),
        ("large gate, little effect", palette.series[0], "square", 10),
        ("small gate, large effect", palette.series[1], "diamond", 11),
    )
    data = [
        _points(table.loc[kinds == kind], name, {"color": colour, "symbol": symbol, "size": size})
        for kind, (name, colour, symbol, size) in enumerate(looks)
        if (kinds == kind).any()
    ]
    ring = {"symbol": "circle-open", "size": 20, "color": palette.ink, "line": {"width": 2}}
    selection = table.loc[channels == selected]
    if len(selection):
        data.append({**_place(selection), "marker": ring, "hoverinfo": "skip", "showlegend": False})
    return make_figure(
        data,
        _frame(table, palette, span, title) | {"showlegend": bool(useless or decisive)},
        palette,
    )


def draw_shuffles(
    shuffled: np.ndarray, value: float, band: tuple[float, float], palette: Palette
) -> Figure:
    """Draw the rank correlations of shuffled slopes as a histogram from -1 to 1, their band, and
    the value found.
    """
    counts, edges = np.histogram(shuffled, bins=80, range=(-1, 1))
    bars = {
        "type": "bar",
        "x": (edges[:-1] + edges[1:]) / 2,
        "y": counts,
        "marker": {"color": palette.faint},
        "hovertemplate": "%{y} shuffles around %{x:+.2f}<extra></extra>",
    }
    shade = {
        "type": "rect",
        "x0": band[0],
        "x1": band[1],
        "y0": 0,
        "y1": 1,
        "yref": "y domain",
        "layer": "below",
    }
    mark = rule(palette, x=value) | {"line": {"color": palette.accent, "width": 3}}
    layout = {
        **LAYOUT,
        "height": 150,
        "bargap": 0,
        "xaxis": {
            "title": "rank correlation of gate and size of effect",
            "range": [-1, 1],
            "showgrid": False,
        },
        "yaxis": {"title": "shuffles", "showgrid": False, "rangemode": "tozero"},
        "shapes": [
            shade | {"fillcolor": palette.faint, "opacity": 0.2, "line": {"width": 0}},
            mark,
        ],
    }
    return make_figure([bars], layout, palette)


def _frame(table: pd.DataFrame, palette: Palette, span: Span, title: str) -> dict[str, Any]:
    reach = 1.1 * float(np.abs(table["effect"].to_numpy()).max()) or 1.0
    margin = 0.02 * (span.high - span.low)
    bare = {"showgrid": False, "zeroline": False}
    return {
        **LAYOUT,
        "height": 460,
        "legend": LEGEND,
        "xaxis": {"title": "gate s", "range": [span.low - margin, span.high + margin], **bare},
        "yaxis": {
            "title": title,
            "range": [-reach, reach],
            "zeroline": False,
            "exponentformat": "power",
        },
        "shapes": [rule(palette, y=0), rule(palette, x=span.middle)],
    }


def _place(rows: pd.DataFrame) -> dict[str, Any]:
    return {"type": "scatter", "mode": "markers", "x": rows["gate"], "y": rows["effect"]}


def _points(rows: pd.DataFrame, name: str, marker: dict[str, Any]) -> dict[str, Any]:
    opacity = 0.6 if marker["symbol"] == "circle" else 1
    # A click must not pale all others.
    same = {"marker": {"opacity": opacity}}
    return {
        **_place(rows),
        "name": name,
        "marker": {**marker, "opacity": opacity},
        "selected": same,
        "unselected": same,
        "customdata": [str(channel) for channel in rows["channel"]],
        "hovertemplate": "<b>#%{customdata}</b><br>gate %{x:.3f}<br>effect %{y:+.4f} "
        "logits<extra></extra>",
    }
