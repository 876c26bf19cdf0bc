"""Gate against effect: one point a channel."""

from collections.abc import Collection

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from se_viz.charts.dress import dress
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
) -> go.Figure:
    """Draw a table of effects: gate on its fixed scale, signed effect symmetric about 0.

    Channels in ``useless`` and ``decisive`` are marked and named, ``selected`` is ringed. Points carry the
    channel's number as custom data, so that a click can open it.
    """
    figure = go.Figure()
    kinds = np.where(table["channel"].isin(list(useless)), 1, np.where(table["channel"].isin(list(decisive)), 2, 0))
    looks = (
        ("all other channels", palette.faint, "circle", 6),
        ("widest quarter, little effect", palette.series[0], "square", 10),
        ("narrowest quarter, large effect", palette.series[1], "diamond", 11),
    )
    for kind, (name, colour, symbol, size) in enumerate(looks):
        rows = table.loc[kinds == kind]
        if len(rows):
            marker = {"color": colour, "symbol": symbol, "size": size, "opacity": 1 if kind else 0.6}
            figure.add_trace(_points(rows, name, marker))
    if selected is not None:
        ring = table[table["channel"] == selected]
        marker = {"symbol": "circle-open", "size": 20, "color": palette.ink, "line": {"width": 2}}
        figure.add_trace(go.Scatter(x=ring["gate"], y=ring["effect"], mode="markers", marker=marker, hoverinfo="skip"))
        figure.data[-1].update(showlegend=False)
    rule = {"color": palette.faint, "width": 1, "dash": "dot"}
    figure.add_hline(y=0, line=rule)
    figure.add_vline(x=span.middle, line=rule)
    return dress(_finish(figure, table, span, title), palette)


def _points(rows: pd.DataFrame, name: str, marker: dict[str, object]) -> go.Scatter:
    return go.Scatter(
        x=rows["gate"],
        y=rows["effect"],
        mode="markers",
        name=name,
        marker=marker,
        selected={"marker": {"opacity": marker["opacity"]}},
        unselected={"marker": {"opacity": marker["opacity"]}},
        customdata=[str(channel) for channel in rows["channel"]],
        hovertemplate="<b>#%{customdata}</b><br>gate %{x:.3f}<br>effect %{y:+.4f} logits<extra></extra>",
    )


def _finish(figure: go.Figure, table: pd.DataFrame, span: Span, title: str) -> go.Figure:
    reach = 1.1 * float(np.abs(table["effect"].to_numpy()).max()) or 1.0
    margin = 0.02 * (span.high - span.low)
    figure.update_layout(
        height=440,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        dragmode=False,
        hovermode="closest",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_xaxes(title="gate s", range=[span.low - margin, span.high + margin], showgrid=False, zeroline=False)
    return figure.update_yaxes(title=title, range=[-reach, reach], zeroline=False)
