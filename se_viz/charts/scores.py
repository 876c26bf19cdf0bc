"""Scores drawn: deletion and insertion curves beside those of controls, and maps of a network that
is randomised.
"""

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
_STEP_COLUMNS = ["part", "panel", "measure", "value", "low", "high"]
OTHERS = "Other maps"
"""What the legend calls maps that have no colour."""

_LEGEND = {"orientation": "h", "x": 0, "y": 1.03, "yanchor": "bottom"}
_BLANK = {"showgrid": False, "zeroline": False}
_FRAME: dict[str, Any] = {
    "margin": {"l": 0, "r": 0, "t": 8, "b": 0},
    "dragmode": False,
    "hovermode": "closest",
    "plot_bgcolor": "rgba(0,0,0,0)",
}


def draw_curves(table: pd.DataFrame, palette: Palette, *, unit: str, fixed: bool = True) -> Figure:
    """Draw a table of curves, deletion above and insertion below: a few in colours, the others
    faint.

    Column ``colour`` says which of the palette's colours a map has, NaN: none. Controls are one
    grey band over all of their draws, and a thin line each. ``unit`` names what the network
    answers; a ``fixed`` axis is that of a probability, 0 to 1. Where low and high of a coloured
    curve are apart, a band shows them.
    """
    data = [
        trace
        for place, curve in enumerate(_CURVES)
        for trace in _curves(table, curve, place, palette)
    ]
    lower, upper = divide(2, 0.13)
    ends = {"range": [-0.03, 1.03]} if fixed else {}
    across = {"range": [-1, 101], **_BLANK}
    notes = [
        {
            "text": f"<b>{words}</b>",
            "x": 0,
            "xref": "paper",
            "y": domain[1],
            "yref": "paper",
            "yanchor": "bottom",
        }
        | {"xanchor": "left", "showarrow": False, "yshift": 2}
        for words, domain in zip(_CURVES.values(), (upper, lower), strict=True)
    ]
    layout = {
        **_FRAME,
        "margin": {**_FRAME["margin"], "t": 28},
        "height": 620,
        "legend": LEGEND,
        "annotations": notes,
        "xaxis": {**across, "anchor": "y", "showticklabels": False},
        "xaxis2": {
            **across,
            "anchor": "y2",
            "title": "pixels changed, in the order of the map (%)",
            "matches": "x",
        },
        "yaxis": {"title": unit, "domain": upper, "zeroline": False, **ends},
        "yaxis2": {"title": unit, "domain": lower, "zeroline": False, **ends},
    }
    return make_figure(data, layout, palette)


def _curves(
    table: pd.DataFrame, curve: str, place: int, palette: Palette
) -> Iterator[dict[str, Any]]:
    rows = table.loc[table["curve"] == curve]
    axes = {"xaxis": "x2", "yaxis": "y2"} if place else {}
    first = {"showlegend": not place}
    controls = rows.loc[rows["control"]]
    maps = rows.loc[~rows["control"]]
    # What comes first lies below.
    if len(controls):
        yield _surround(controls, palette.faint) | axes
    for index, (name, points) in enumerate(controls.groupby("map", sort=False)):
        line = {"color": palette.faint, "width": 1.5, "dash": _DASHES[1 + index % 4]}
        yield _line(name, points, line) | axes | first | {"legendrank": 3000}
    plain = maps.loc[maps["colour"].isna()]
    for index, (name, points) in enumerate(plain.groupby("map", sort=False)):
        style = {"opacity": 0.5, "legendgroup": OTHERS, "legendrank": 2000, "name": OTHERS}
        legend = {"showlegend": not place and not index}
        yield _line(name, points, {"color": palette.faint, "width": 1}) | axes | style | legend
    coloured = maps.dropna(subset="colour").sort_values(["colour", "step"])
    for name, points in coloured.groupby("map", sort=False):
        colour = palette.series[int(points["colour"].iloc[0])]
        if np.any(points["low"] < points["high"]):
            yield _surround(points, colour) | axes | {"legendgroup": name}
        yield _line(name, points, {"color": colour, "width": 2.5}) | axes | first


def _line(name: object, points: pd.DataFrame, line: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": 100 * np.asarray(points["share"]),
        "y": np.asarray(points["value"]),
        "name": name,
        "legendgroup": name,
        "line": line,
        "hovertemplate": f"<b>{name}</b><br>%{{x:.0f}} %: %{{y:.3f}}<extra></extra>",
    }


def _surround(rows: pd.DataFrame, colour: str) -> dict[str, Any]:
    """Return the band from the lowest to the highest of some curves at each step."""
    steps = rows.groupby("step").agg({"share": "first", "low": "min", "high": "max"})
    share = 100 * steps["share"]
    return {
        "type": "scatter",
        "x": [*share, *share[::-1]],
        "y": [*steps["high"], *steps["low"][::-1]],
        "fill": "toself",
        "fillcolor": colour,
        "opacity": 0.2,
        "mode": "none",
        "showlegend": False,
        "hoverinfo": "skip",
    }


def draw_steps(table: pd.DataFrame, palette: Palette) -> Figure:
    """Draw how alike maps (above) and gates (below) are to the first ones, part by part from the
    classifier back.

    ``table`` has one row a part and measure: ``part``, ``panel`` (``map`` or ``gates``),
    ``measure``, ``value``, and ``low`` and ``high``, the ends of several draws, NaN where there is
    one. A measure with ends at every part is a grey band behind the others; else ends are drawn as
    bars.
    """
    parts = list(table["part"].unique())
    lower, upper = divide(2, 0.2)
    data = [trace for panel in (0, 1) for trace in _likenesses(table, panel, parts, palette)]
    side = {
        "range": [-0.35, 1.08],
        "tickvals": [0, 0.5, 1],
        "zeroline": True,
        "zerolinecolor": palette.faint,
    }
    across = {"range": [-0.3, len(parts) - 0.7], "tickvals": list(range(len(parts))), **_BLANK}
    layout = {
        **_FRAME,
        # Room for the last name on the axis: one that would leave the figure is not drawn.
        "margin": {**_FRAME["margin"], "r": 24},
        "height": 470,
        "legend": _LEGEND,
        "legend2": {**_LEGEND, "y": lower[1] + 0.015},
        "xaxis": {**across, "anchor": "y", "showticklabels": False},
        "xaxis2": {
            **across,
            "anchor": "y2",
            "ticktext": parts,
            "title": "randomised up to and including",
        },
        "yaxis": {**side, "title": "map: likeness<br>to the first", "domain": upper},
        "yaxis2": {**side, "title": "gates: rank<br>correlation", "domain": lower},
    }
    return make_figure(data, layout, palette)


def _likenesses(
    table: pd.DataFrame, panel: int, parts: list[str], palette: Palette
) -> Iterator[dict[str, Any]]:
    rows = table.loc[table["panel"] == ("map", "gates")[panel]].reindex(columns=_STEP_COLUMNS)
    axes = {"legend": "legend2", "xaxis": "x2", "yaxis": "y2"} if panel else {"legend": "legend"}
    whole = rows.groupby("measure")["low"].transform("count") == len(parts)
    for name, points in rows.loc[whole].groupby("measure", sort=False):
        yield _band(str(name), points, parts, palette) | axes
    for index, (name, points) in enumerate(rows.loc[~whole].groupby("measure", sort=False)):
        colour = [*palette.series, palette.ink][index % 5]
        value = np.asarray(points["value"])
        ends = {
            "type": "data",
            "array": np.asarray(points["high"]) - value,
            "arrayminus": value - np.asarray(points["low"]),
            "color": colour,
        }
        yield {
            "type": "scatter",
            "mode": "lines+markers",
            "x": [parts.index(part) for part in points["part"]],
            "y": value,
            "name": name,
            "line": {"color": colour, "width": 2},
            "marker": {"size": 8, "symbol": _SYMBOLS[index % 5], "color": colour},
            "text": points["part"].tolist(),
            "hovertemplate": f"<b>{name}</b><br>%{{text}}: %{{y:.2f}}<extra></extra>",
            **({"error_y": ends} if points["low"].notna().any() else {}),
            **axes,
        }


def _band(name: str, points: pd.DataFrame, parts: list[str], palette: Palette) -> dict[str, Any]:
    across = [parts.index(part) for part in points["part"]]
    # A little beyond the first and the last: what holds at every part is no line between them.
    across = [across[0] - 0.3, *across[1:-1], across[-1] + 0.3]
    return {
        "type": "scatter",
        "mode": "none",
        "x": [*across, *across[::-1]],
        "y": [*points["high"], *points["low"][::-1]],
        "fill": "toself",
        "fillcolor": palette.faint,
        "opacity": 0.3,
        "name": name,
        "hoverinfo": "skip",
    }
