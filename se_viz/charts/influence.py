"""A block's Jacobian drawn: one row as signed bars, the whole of it as one map."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.graph_objects import Figure

from se_viz.charts.dress import colour_axis, dress
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import encode, fit_span

CELLS = 128
"""Cells at a side that a map of all channels has at most: more are not told apart on a screen."""


def draw_row(row: np.ndarray, channels: Sequence[int], palette: Palette, *, own: int) -> Figure:
    """Draw the entries ds_own / dz_k of some channels k as signed bars, in the order given, first on top.

    Points carry the channel's number as custom data, so that a click can open it.
    """
    values = [float(row[channel]) for channel in channels]
    names = [f"{channel} (itself)" if channel == own else f"{channel}" for channel in channels]
    up, down = palette.diverging[3][1], palette.diverging[1][1]
    reach = 1.5 * max(map(abs, values)) or 1.0
    bars = go.Bar(
        x=values,
        y=list(range(len(values))),
        orientation="h",
        marker={"color": [up if value > 0 else down for value in values]},
        text=[f"{value:+.2g}".replace("-", "−") for value in values],
        textposition="outside",
        cliponaxis=False,
        customdata=[str(channel) for channel in channels],
        hovertemplate=f"∂s<sub>{own}</sub>/∂z<sub>%{{customdata}}</sub> = %{{x:.3g}}"
        "<br>click to open channel %{customdata}<extra></extra>",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
    )
    figure = Figure(bars)
    figure.update_layout(
        height=90 + 23 * len(values),
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        showlegend=False,
        dragmode=False,
        bargap=0.3,
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(
        title=f"∂s<sub>{own}</sub>/∂z<sub>k</sub>, gate per unit of z", range=[-reach, reach], zeroline=True, nticks=5
    )
    figure.update_yaxes(
        title="channel k", autorange="reversed", tickvals=list(range(len(values))), ticktext=names, showgrid=False
    )
    return dress(figure, palette)


def draw_cells(cells: np.ndarray, palette: Palette, *, size: int, mark: tuple[int, int]) -> Figure:
    """Draw a Jacobian of ``size`` x ``size`` entries, given as the means of ``cells``, symmetric about 0.

    ``mark`` is the row and the column where the open channel stands: small triangles at the edges name it.
    """
    span = fit_span(cells, signed=True)
    step = size / len(cells)
    place = {"x0": step / 2, "dx": step, "y0": step / 2, "dy": step}
    figure = Figure(go.Heatmap(z=encode(cells, span), coloraxis="coloraxis", hoverinfo="skip", zsmooth=False, **place))
    row, column = mark
    marks = go.Scatter(
        x=[-0.015 * size, column + 0.5],
        y=[row + 0.5, -0.015 * size],
        mode="markers",
        marker={"symbol": ["triangle-right", "triangle-down"], "size": 11, "color": palette.ink},
        cliponaxis=False,
        text=["the open channel's gate", "the open channel's squeeze"],
        hovertemplate="%{text}<extra></extra>",
    )
    figure.add_trace(marks)
    bar = {"thickness": 8, "len": 0.6, "x": 0.5, "xanchor": "center", "y": 1.03, "yanchor": "bottom"}
    figure.update_layout(
        height=520,
        margin={"l": 40, "r": 0, "t": 70, "b": 40},
        showlegend=False,
        dragmode=False,
        plot_bgcolor="rgba(0,0,0,0)",
        coloraxis=colour_axis(palette.diverging, palette, span, title="∂s/∂z, gate per unit of z", **bar),
    )
    ends = [-0.03 * size, size]
    figure.update_xaxes(visible=False, range=ends)
    figure.update_yaxes(visible=False, range=ends[::-1])
    # Not the axes' own titles: without tick labels Plotly puts these over the cells, or nowhere.
    words = {"xref": "paper", "yref": "paper", "showarrow": False, "font": {"color": palette.ink}}
    sorting = "sorted by the strongest pattern"
    figure.add_annotation(text=f"squeezes z<sub>k</sub>, {sorting}", x=0.5, y=0, yanchor="top", yshift=-6, **words)
    figure.add_annotation(
        text=f"gates s<sub>c</sub>, {sorting}", x=0, y=0.5, xanchor="right", xshift=-6, textangle=-90, **words
    )
    return dress(figure, palette)
