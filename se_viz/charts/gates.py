"""The gate map: every channel of every block as one row a block, in one figure of a few traces."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from se_viz.charts.dress import colour_axis, dress
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import GATES, Span, encode, fit_span
from se_viz.gates.tables import name_stage

ORDERS = {"gate": "gate", "squeeze": "squeeze", "channel": "index"}
"""What channels can be sorted by: column of the gate table, and its name on the axis."""

_BINS = 32


@dataclass(frozen=True, slots=True)
class _Row:
    """One block as it is drawn."""

    block: str
    path: str
    stage: int
    place: float
    values: np.ndarray


def draw_gates(
    table: pd.DataFrame,
    palette: Palette,
    *,
    value: str = "gate",
    order: str = "gate",
    selected: str | None = None,
    gates: Span = GATES,
) -> go.Figure:
    """Draw a gate table of one image: colours for channels, beside them mean and spread of each block.

    ``value`` is ``gate`` (on the fixed scale ``gates``, 0..1 for sigmoids), ``squeeze`` (symmetric about 0,
    shared by all blocks) or another column, on the scale ``gates``; ``order`` sorts the channels of each block by
    a key of ``ORDERS``; ``selected`` is a block to frame. Points carry the block's path as custom data, so that a
    click can open it.
    """
    rows = _rows(table, value, order)
    everything = np.concatenate([row.values for row in rows])
    span = fit_span(everything, signed=True) if value == "squeeze" else gates
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, column_widths=[0.76, 0.24], horizontal_spacing=0.045)
    for _, stage in groupby(rows, key=lambda row: row.stage):
        _add_stage(figure, list(stage), span)
    _add_targets(figure, rows, value)
    _add_means(figure, rows, palette, value)
    figure.add_vline(x=span.middle, line={"color": palette.faint, "width": 1, "dash": "dot"}, row=1, col=2)  # pyright: ignore[reportArgumentType]
    _add_missing(figure, rows, palette)
    _frame(figure, rows, selected, palette)
    return dress(_finish(figure, rows, palette, value=value, order=order, span=span), palette)


def _rows(table: pd.DataFrame, value: str, order: str) -> list[_Row]:
    rows: list[_Row] = []
    place, previous = 0.0, 0
    for path, block in table.groupby("path", sort=False):
        stage = int(block["stage"].iloc[0])
        # Every stage begins with an empty line for its heading.
        place += 1.0 + (stage != previous)
        previous = stage
        block = block.sort_values(order, ascending=order == "channel", kind="stable")
        values = block[value].to_numpy(dtype=np.float32)
        rows.append(_Row(block["block"].iloc[0], str(path), stage, place, values))
    return rows


def _add_stage(figure: go.Figure, rows: list[_Row], span: Span) -> None:
    for channels, alike in groupby(rows, key=lambda row: row.values.size):
        blocks = list(alike)
        heat = go.Heatmap(
            z=np.stack([encode(row.values, span) for row in blocks]),
            x0=50 / channels,
            dx=100 / channels,
            y=[row.place for row in blocks],
            coloraxis="coloraxis",
            ygap=2,
            hoverinfo="skip",
        )
        figure.add_trace(heat, row=1, col=1)
    figure.add_annotation(
        text=_heading(rows), x=0, y=rows[0].place - 0.95, xanchor="left", showarrow=False, row=1, col=1
    )


def _heading(rows: list[_Row]) -> str:
    fewest, most = (end(row.values.size for row in rows) for end in (min, max))
    channels = f"{most}" if fewest == most else f"{fewest} to {most}"
    return f"<b>{name_stage(rows[0].stage)}</b>  {len(rows)} block{'s' if len(rows) > 1 else ''} of {channels} channels"


def _add_targets(figure: go.Figure, rows: list[_Row], value: str) -> None:
    """Lay invisible points over the rows: colours alone tell neither hover nor click."""
    texts, xs, ys, paths = [], [], [], []
    for row in rows:
        for part, values in enumerate(np.array_split(row.values, min(_BINS, row.values.size))):
            count = min(_BINS, row.values.size)
            xs.append((part + 0.5) * 100 / count)
            ys.append(row.place)
            paths.append(row.path)
            texts.append(f"<b>{row.block}</b><br>{value} {values.mean():.3f} (mean of {values.size} channels here)")
    figure.add_trace(
        go.Scatter(
            x=xs,
            y=ys,
            mode="markers",
            marker={"size": 14, "opacity": 0, "symbol": "square"},
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}},
            text=texts,
            customdata=paths,
            hovertemplate="%{text}<br>click to open the block<extra></extra>",
        ),
        row=1,
        col=1,
    )


def _add_means(figure: go.Figure, rows: list[_Row], palette: Palette, value: str) -> None:
    means = [float(np.nanmean(row.values)) for row in rows]
    spreads = [float(np.nanstd(row.values)) for row in rows]
    figure.add_trace(
        go.Scatter(
            x=means,
            y=[row.place for row in rows],
            error_x={"array": spreads, "color": palette.faint, "thickness": 1.5, "width": 0},
            mode="markers",
            marker={"size": 9, "color": palette.ink},
            cliponaxis=False,
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            text=[row.block for row in rows],
            customdata=[row.path for row in rows],
            hovertemplate=f"<b>%{{text}}</b><br>mean {value} %{{x:.3f}}<br>click to open the block<extra></extra>",
        ),
        row=1,
        col=2,
    )


def _add_missing(figure: go.Figure, rows: list[_Row], palette: Palette) -> None:
    xs = [(np.flatnonzero(np.isnan(row.values)) + 0.5) * 100 / row.values.size for row in rows]
    if not sum(map(len, xs)):
        return
    ys = [np.full(len(x), row.place) for x, row in zip(xs, rows, strict=True)]
    marker = {"symbol": "x-thin", "size": 7, "line": {"color": palette.missing, "width": 2}}
    nan = go.Scatter(x=np.concatenate(xs), y=np.concatenate(ys), mode="markers", marker=marker, hoverinfo="skip")
    figure.add_trace(nan, row=1, col=1)


def _frame(figure: go.Figure, rows: list[_Row], selected: str | None, palette: Palette) -> None:
    for row in rows:
        if row.path == selected:
            line = {"color": palette.ink, "width": 2}
            box = {"x0": 0, "x1": 100, "y0": row.place - 0.48, "y1": row.place + 0.48}
            figure.add_shape(type="rect", line=line, **box, row=1, col=1)


def _finish(figure: go.Figure, rows: list[_Row], palette: Palette, *, value: str, order: str, span: Span) -> go.Figure:
    place = {"thickness": 8, "len": 0.4, "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"}
    figure.update_layout(
        height=120 + (rows[-1].place + 1) * max(13, min(27, 520 / len(rows))),
        margin={"l": 0, "r": 0, "t": 10, "b": 0},
        showlegend=False,
        dragmode=False,
        hovermode="closest",
        plot_bgcolor="rgba(0,0,0,0)",
        coloraxis=colour_axis(palette.diverging, palette, span, title=f"{value}  ", **place),
    )
    blank = {"showgrid": False, "zeroline": False}
    ticks = {"tickvals": [row.place for row in rows], "ticktext": [row.block for row in rows], "ticks": ""}
    figure.update_yaxes(range=[rows[-1].place + 0.6, rows[0].place - 1.4], **blank, **ticks)
    figure.update_yaxes(showticklabels=False, col=2)
    sorting = f"channels, sorted by {ORDERS[order]}" if order != "channel" else "channels, by index"
    figure.update_xaxes(title=f"{sorting} (% of the block)", range=[0, 100], **blank, col=1)
    ends: dict[str, Any] = {"range": [span.low, span.high], "tickvals": [span.low, span.middle, span.high]}
    limits = ends if value == "gate" else {}
    return figure.update_xaxes(title="mean ± std", **blank, col=2, **limits)
