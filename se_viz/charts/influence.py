"""A block's Jacobian drawn: one row as signed bars, the whole of it as one map."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from plotly.graph_objects import Figure

from se_viz.charts.dress import LAYOUT, colour_axis, invisible_marks, make_figure
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import encode, fit_span

CELLS = 128
"""Cells at a side that a map of all channels has at most: more are not told apart on a screen."""

_UNIT = "∂s/∂z, gate per unit of z"
_BAR = {"thickness": 8, "len": 0.6, "x": 0.5, "xanchor": "center", "y": 1.03, "yanchor": "bottom"}


def draw_row(row: np.ndarray, channels: Sequence[int], palette: Palette, *, own: int) -> Figure:
    """Draw the entries ds_own / dz_k of some channels k as signed bars, in the order given, first
    on top.

    Points carry the channel's number as custom data, so that a click can open it.
    """
    values = [float(row[channel]) for channel in channels]
    names = [f"{channel} (itself)" if channel == own else f"{channel}" for channel in channels]
    # Room for the numbers beside the longest bars; a row of zeros still needs a range.
    reach = 1.5 * max(map(abs, values)) or 1.0
    places = list(range(len(values)))
    title = f"∂s<sub>{own}</sub>/∂z<sub>k</sub>, gate per unit of z"
    layout = {
        **LAYOUT,
        "height": 112 + 23 * len(values),
        "margin": {"l": 0, "r": 0, "t": 30, "b": 0},
        "bargap": 0.3,
        "xaxis": {"title": title, "range": [-reach, reach], "zeroline": True, "nticks": 5},
        "yaxis": {
            "title": "channel k",
            "autorange": "reversed",
            "tickvals": places,
            "ticktext": names,
            "showgrid": False,
        },
    }
    return make_figure([{**_bars(values, channels, palette, own), "y": places}], layout, palette)


def _bars(
    values: list[float], channels: Sequence[int], palette: Palette, own: int
) -> dict[str, Any]:
    up = palette.diverging[3][1]
    down = palette.diverging[1][1]
    # A click must not pale all others.
    same = {"marker": {"opacity": 1}}
    return {
        "type": "bar",
        "x": values,
        "orientation": "h",
        "marker": {"color": [up if value > 0 else down for value in values]},
        "text": [f"{value:+.2g}".replace("-", "−") for value in values],
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": [str(channel) for channel in channels],
        "hovertemplate": f"∂s<sub>{own}</sub>/∂z<sub>%{{customdata}}</sub> = %{{x:.3g}}"
        "<br>click to open channel %{customdata}<extra></extra>",
        "selected": same,
        "unselected": same,
    }


def draw_cells(cells: np.ndarray, palette: Palette, *, size: int, mark: tuple[int, int]) -> Figure:
    """Draw a Jacobian of ``size`` x ``size`` entries, given as the means of ``cells``, symmetric
    about 0.

    ``mark`` is the row and the column where the open channel stands: small triangles at the edges
    name it.
    """
    span = fit_span(cells, signed=True)
    step = size / len(cells)
    place = {"x0": step / 2, "dx": step, "y0": step / 2, "dy": step}
    heat = {
        "type": "heatmap",
        "z": encode(cells, span),
        "coloraxis": "coloraxis",
        "hoverinfo": "skip",
        **place,
    }
    # Outside the cells there is room for the two triangles.
    ends = [-0.03 * size, size]
    still = {"visible": False}
    layout = {
        **LAYOUT,
        "height": 520,
        "margin": {"l": 40, "r": 0, "t": 70, "b": 40},
        "coloraxis": colour_axis(palette.diverging, palette, span, title=_UNIT, **_BAR),
        "xaxis": {**still, "range": ends},
        "yaxis": {**still, "range": ends[::-1]},
        "annotations": _name_axes("sorted by the strongest pattern"),
    }
    return make_figure([heat, _triangles(mark, size, palette)], layout, palette)


def draw_strongest(
    values: np.ndarray, gates: Sequence[int], squeezes: Sequence[int], palette: Palette, *, own: int
) -> Figure:
    """Draw the entries ds_c / dz_k of some gates c (rows) and squeezes k (columns) as one map,
    symmetric about 0.

    A cell carries the number of its gate as custom data, so that a click can open it; ``own`` is
    the open one.
    """
    # Few cells, all of them large: none may be clipped.
    span = fit_span(values, signed=True, keep=1.0)
    heat = {
        "type": "heatmap",
        "z": encode(values, span),
        "coloraxis": "coloraxis",
        "hoverinfo": "skip",
    }
    layout = {
        **LAYOUT,
        "height": 520,
        "margin": {"l": 0, "r": 0, "t": 70, "b": 0},
        "coloraxis": colour_axis(palette.diverging, palette, span, title=_UNIT, **_BAR),
        "xaxis": {
            **_name_ticks(squeezes, own),
            "title": "squeeze z<sub>k</sub> of channel k",
            "tickangle": -90,
        },
        "yaxis": {
            **_name_ticks(gates, own),
            "title": "gate s<sub>c</sub> of channel c",
            "autorange": "reversed",
        },
    }
    return make_figure([heat, _cell_targets(values, gates, squeezes)], layout, palette)


def _cell_targets(
    values: np.ndarray, gates: Sequence[int], squeezes: Sequence[int]
) -> dict[str, Any]:
    cells = [(row, column) for row in range(len(gates)) for column in range(len(squeezes))]
    return {
        **invisible_marks(14),
        "x": [column for _, column in cells],
        "y": [row for row, _ in cells],
        "customdata": [str(gates[row]) for row, _ in cells],
        "text": [
            f"∂s<sub>{gates[c]}</sub>/∂z<sub>{squeezes[k]}</sub> = {values[c, k]:.3g}"
            for c, k in cells
        ],
        "hovertemplate": "%{text}<br>click to open channel %{customdata}<extra></extra>",
    }


def _name_ticks(channels: Sequence[int], own: int) -> dict[str, Any]:
    names = [f"<b>{channel}</b>" if channel == own else f"{channel}" for channel in channels]
    bare = {"showgrid": False, "zeroline": False, "ticks": ""}
    return {"tickvals": list(range(len(channels))), "ticktext": names, **bare}


def _triangles(mark: tuple[int, int], size: int, palette: Palette) -> dict[str, Any]:
    row, column = mark
    return {
        "type": "scatter",
        "x": [-0.015 * size, column + 0.5],
        "y": [row + 0.5, -0.015 * size],
        "mode": "markers",
        "marker": {"symbol": ["triangle-right", "triangle-down"], "size": 11, "color": palette.ink},
        "cliponaxis": False,
        "text": ["the open channel's gate", "the open channel's squeeze"],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _name_axes(sorting: str) -> list[dict[str, Any]]:
    # Not the axes' own titles: without tick labels Plotly puts these over the cells, or nowhere.
    words = {"xref": "paper", "yref": "paper", "showarrow": False}
    below = {
        "text": f"squeezes z<sub>k</sub>, {sorting}",
        "x": 0.5,
        "y": 0,
        "yanchor": "top",
        "yshift": -6,
    }
    left = {
        "text": f"gates s<sub>c</sub>, {sorting}",
        "x": 0,
        "y": 0.5,
        "xanchor": "right",
        "xshift": -6,
    }
    return [words | below, words | left | {"textangle": -90}]
