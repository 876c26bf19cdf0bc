"""Scores drawn: deletion and insertion curves beside those of controls, and maps of a network that is randomised."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from se_viz.charts.dress import LEGEND, divide, make_figure
from se_viz.charts.palettes import Palette

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x")
_CURVES = {"deletion": "Deletion: lower is better", "insertion": "Insertion: higher is better"}
_LEGEND = {"orientation": "h", "x": 0, "y": 1.03, "yanchor": "bottom"}
_BLANK = {"showgrid": False, "zeroline": False}
_FRAME: dict[str, Any] = {
    "margin": {"l": 0, "r": 0, "t": 8, "b": 0},
    "dragmode": False,
    "hovermode": "closest",
    "plot_bgcolor": "rgba(0,0,0,0)",
}


def draw_curves(table: pd.DataFrame, palette: Palette, *, unit: str, fixed: bool = True) -> Figure:
    """Draw a table of curves: deletion above, insertion below, maps in colours and controls in grey.

    ``unit`` names what the network answers; a ``fixed`` axis is that of a probability, 0 to 1. Where low and high
    of a curve are apart, a band shows them.
    """
    data = [trace for place, curve in enumerate(_CURVES) for trace in _curves(table, curve, place, palette)]
    lower, upper = divide(2, 0.13)
    ends = {"range": [-0.03, 1.03]} if fixed else {}
    across = {"range": [-1, 101], **_BLANK}
    notes = [
        {"text": f"<b>{words}</b>", "x": 0, "xref": "paper", "y": domain[1], "yref": "paper", "yanchor": "bottom"}
        | {"xanchor": "left", "showarrow": False, "yshift": 2}
        for words, domain in zip(_CURVES.values(), (upper, lower), strict=True)
    ]
    layout = {
        **_FRAME,
        "margin": {**_FRAME["margin"], "t": 28},
        # A phone has two names in a row of the legend.
        "height": 560 + 12 * table["map"].nunique(),
        "legend": LEGEND,
        "annotations": notes,
        "xaxis": {**across, "anchor": "y", "showticklabels": False},
        "xaxis2": {**across, "anchor": "y2", "title": "pixels changed, in the order of the map (%)", "matches": "x"},
        "yaxis": {"title": unit, "domain": upper, "zeroline": False, **ends},
        "yaxis2": {"title": unit, "domain": lower, "zeroline": False, **ends},
    }
    return make_figure(data, layout, palette)


def _curves(table: pd.DataFrame, curve: str, place: int, palette: Palette) -> Iterator[dict[str, Any]]:
    rows = table.loc[table["curve"] == curve]
    # Controls first, so that they lie below.
    for control in (True, False):
        alike = rows.loc[rows["control"] == control]
        for index, name in enumerate(dict.fromkeys(alike["map"])):
            points = alike.loc[alike["map"] == name]
            turn = len(palette.series)
            colour = palette.faint if control else palette.series[index % turn]
            dash = _DASHES[1 + index % 4] if control else _DASHES[index // turn % len(_DASHES)]
            axes = {"xaxis": "x2", "yaxis": "y2"} if place else {}
            if np.any(points["low"] < points["high"]):
                yield _band(points, colour) | axes
            yield axes | {
                "type": "scatter",
                "mode": "lines",
                "x": 100 * np.asarray(points["share"]),
                "y": np.asarray(points["value"]),
                "name": name,
                "legendgroup": name,
                "legendrank": 2000 if control else 1000,
                "showlegend": not place,
                "line": {"color": colour, "width": 1.5 if control else 2.5, "dash": dash},
                "hovertemplate": f"<b>{name}</b><br>%{{x:.0f}} %: %{{y:.3f}}<extra></extra>",
            }


def _band(points: pd.DataFrame, colour: str) -> dict[str, Any]:
    share = 100 * points["share"]
    return {
        "type": "scatter",
        "x": [*share, *share[::-1]],
        "y": [*points["high"], *points["low"][::-1]],
        "fill": "toself",
        "fillcolor": colour,
        "opacity": 0.15,
        "mode": "none",
        "legendgroup": points["map"].iloc[0],
        "showlegend": False,
        "hoverinfo": "skip",
    }


def draw_steps(table: pd.DataFrame, palette: Palette) -> Figure:
    """Draw how alike maps (above) and gates (below) are to the first ones, part by part from the classifier back.

    ``table`` has one row a part and measure: ``part``, ``panel`` (``map`` or ``gates``), ``measure``, ``value``.
    """
    parts = list(table["part"].unique())
    lower, upper = divide(2, 0.2)
    data = [trace for panel in (0, 1) for trace in _likenesses(table, panel, parts, palette)]
    side = {"range": [-0.35, 1.08], "tickvals": [0, 0.5, 1], "zeroline": True, "zerolinecolor": palette.faint}
    across = {"range": [-0.3, len(parts) - 0.7], "tickvals": list(range(len(parts))), **_BLANK}
    layout = {
        **_FRAME,
        # Room for the last name on the axis: one that would leave the figure is not drawn.
        "margin": {**_FRAME["margin"], "r": 24},
        "height": 470,
        "legend": _LEGEND,
        "legend2": {**_LEGEND, "y": lower[1] + 0.015},
        "xaxis": {**across, "anchor": "y", "showticklabels": False},
        "xaxis2": {**across, "anchor": "y2", "ticktext": parts, "title": "randomised so far, up to and with"},
        "yaxis": {**side, "title": "map: likeness<br>to the first", "domain": upper},
        "yaxis2": {**side, "title": "gates: rank<br>correlation", "domain": lower},
    }
    return make_figure(data, layout, palette)


def _likenesses(table: pd.DataFrame, panel: int, parts: list[str], palette: Palette) -> Iterator[dict[str, Any]]:
    rows = table.loc[table["panel"] == ("map", "gates")[panel]]
    for index, measure in enumerate(dict.fromkeys(rows["measure"])):
        points = rows.loc[rows["measure"] == measure]
        colour = [*palette.series, palette.ink][index % 5]
        yield {
            "type": "scatter",
            "mode": "lines+markers",
            "x": [parts.index(part) for part in points["part"]],
            "y": np.asarray(points["value"]),
            "name": measure,
            "line": {"color": colour, "width": 2},
            "marker": {"size": 8, "symbol": _SYMBOLS[index % 5], "color": colour},
            "text": points["part"].tolist(),
            "hovertemplate": f"<b>{measure}</b><br>%{{text}}: %{{y:.2f}}<extra></extra>",
            "legend": "legend2" if panel else "legend",
            **({"xaxis": "x2", "yaxis": "y2"} if panel else {}),
        }
