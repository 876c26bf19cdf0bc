"""Counterfactuals over depth: how far the answer moves when gates at one place are replaced."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from se_viz.charts.dress import dress
from se_viz.charts.palettes import Palette
from se_viz.counterfactuals import KINDS

_SYMBOLS = ("circle", "diamond", "square", "triangle-up")
_FAINT = 0.35


def draw_counterfactuals(summary: pd.DataFrame, palette: Palette, *, kind: str | None = None) -> go.Figure:
    """Draw a summary of counterfactuals: change of probability above, KL divergence below, depth from left to right.

    Bars reach one standard deviation to either side; a hollow mark is a place where a label flipped. All other
    kinds than ``kind`` stand back. Points carry the block's path as custom data, so that a click can open it.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.07, row_heights=[0.56, 0.44])
    places = {place: index for index, place in enumerate(summary["place"].unique())}
    kinds = [key for key in KINDS if key in set(summary["kind"])]
    for position, key in enumerate(kinds):
        rows = summary.loc[summary["kind"] == key]
        # Side by side, so that no point hides another.
        shift = 0.12 * (position - (len(kinds) - 1) / 2)
        for line, column in ((1, "change"), (2, "divergence")):
            trace = _trace(rows, column, key, palette)
            trace.update(x=[places[place] + shift for place in rows["place"]], showlegend=line == 1)
            trace.update(opacity=1 if kind in (None, key) else _FAINT)
            figure.add_trace(trace, row=line, col=1)
    figure.add_hline(y=0, line={"color": palette.faint, "width": 1, "dash": "dot"}, row=1, col=1)  # pyright: ignore[reportArgumentType]
    return dress(_finish(figure, summary, list(places)), palette)


def _trace(rows: pd.DataFrame, column: str, kind: str, palette: Palette) -> go.Scatter:
    order = list(KINDS).index(kind)
    colour, symbol = palette.series[order], _SYMBOLS[order]
    factor, unit = (100, "points") if column == "change" else (1, "nats")
    error = {"array": factor * rows[f"{column}_std"], "color": colour, "thickness": 1.5, "width": 3}
    return go.Scatter(
        y=factor * rows[column],
        error_y={**error, "visible": bool((rows["count"] > 1).any())},
        mode="lines+markers" if len(rows) > 1 else "markers",
        name=KINDS[kind],
        legendgroup=kind,
        line={"color": colour, "width": 1.5},
        marker={
            "size": 9,
            "color": colour,
            "symbol": [symbol if kept == 1 else f"{symbol}-open" for kept in rows["kept"]],
            "line": {"width": 2, "color": colour},
        },
        # A click must not pale all others.
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        customdata=rows["path"].tolist(),
        text=[f"<b>{place}</b><br>{KINDS[kind]}<br>label kept: {kept:.0%}" for place, kept in _labels(rows)],
        hovertemplate=f"%{{text}}<br>%{{y:.3f}} {unit}<extra></extra>",
    )


def _labels(rows: pd.DataFrame) -> list[tuple[str, float]]:
    return list(zip(rows["place"], rows["kept"], strict=True))


def _finish(figure: go.Figure, summary: pd.DataFrame, places: list[str]) -> go.Figure:
    reach, top = (
        float((summary[column].abs() + summary[f"{column}_std"]).to_numpy().max())
        for column in ("change", "divergence")
    )
    # Where nothing moved, axes still need a range.
    reach, top = 110 * reach or 1.0, 1.1 * top or 0.01
    figure.update_layout(
        height=460,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        dragmode=False,
        hovermode="closest",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_xaxes(range=[-0.6, len(places) - 0.4], tickvals=list(range(len(places))), ticktext=places)
    figure.update_xaxes(showgrid=False, zeroline=False, tickangle=-90 if len(places) > 8 else 0)
    figure.update_xaxes(title="replaced gates, from the first block to the last", row=2, col=1)
    figure.update_yaxes(title="change of probability<br>(percentage points)", range=[-reach, reach], row=1, col=1)
    figure.update_yaxes(title="KL(live || replaced)<br>(nats)", range=[-0.03 * top, top], row=2, col=1)
    return figure.update_yaxes(zeroline=False)
