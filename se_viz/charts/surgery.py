"""What changed gates do: the gates of one block to pick from, the answer, later gates and a map, old against new."""

import numpy as np
import pandas as pd
from PIL import Image
from plotly.graph_objects import Bar, Figure, Heatmap, Scatter
from plotly.subplots import make_subplots

from se_viz.charts.dress import colour_axis, dress
from se_viz.charts.gates import draw_gates
from se_viz.charts.maps import photo_layer
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import Span, encode, fit_span

_NAME = 26


def draw_choice(table: pd.DataFrame, palette: Palette, *, order: str, picked: np.ndarray | None, span: Span) -> Figure:
    """Draw the gates of one block as points to pick: where each is now, and a stem from where it was.

    ``table`` has a row a channel with ``channel``, ``gate`` and ``after``. ``order`` is ``gate`` (as they were
    before any edit, so that points keep their places) or ``channel``. ``picked`` are channels to stress; None
    leaves that to the browser, where a box or a lasso picks. Points carry the channel as custom data.
    """
    table = table.sort_values(order, ascending=order == "channel", kind="stable")
    channel, old, new = (table[name].to_numpy() for name in ("channel", "gate", "after"))
    points = Scatter(
        x=np.arange(len(table)),
        y=new,
        mode="markers",
        marker={"size": 7, "color": np.where(old != new, palette.accent, palette.ink)},
        selected={"marker": {"size": 9}},
        unselected={"marker": {"size": 4, "opacity": 0.2}},
        selectedpoints=None if picked is None else np.flatnonzero(np.isin(channel, picked)),
        customdata=channel.tolist(),
        hovertemplate="channel %{customdata}<br>gate %{y:.3f}<extra></extra>",
    )
    figure = Figure([points, _stems(old, new, palette)])
    return dress(_frame_choice(figure, new, palette, order=order, span=span), palette)


def _stems(old: np.ndarray, new: np.ndarray, palette: Palette) -> Scatter:
    moved = np.flatnonzero(old != new)
    # One line with gaps: a trace a channel would take seconds.
    ends = np.column_stack([old[moved], new[moved], np.full(moved.size, np.nan)]).ravel()
    line = {"width": 1, "color": palette.accent}
    return Scatter(x=np.repeat(moved, 3), y=ends, mode="lines", line=line, opacity=0.35, hoverinfo="skip")


def _frame_choice(figure: Figure, gates: np.ndarray, palette: Palette, *, order: str, span: Span) -> Figure:
    low, high = min(span.low, float(gates.min())), max(span.high, float(gates.max()))
    slack = 0.04 * (high - low)
    words = "channels, widest open first (before any edit)" if order == "gate" else "channels, by index"
    figure.add_hline(y=span.middle, line={"color": palette.faint, "width": 1, "dash": "dot"})
    figure.update_layout(
        height=290,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        showlegend=False,
        dragmode="select",
        hovermode="closest",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(title=words, showgrid=False, zeroline=False, range=[-0.02 * len(gates), 1.02 * len(gates)])
    return figure.update_yaxes(title="gate", range=[low - slack, high + slack], showgrid=False, zeroline=False)


def draw_answers(table: pd.DataFrame, palette: Palette) -> Figure:
    """Draw the probability of each class of a table of `compare_answers`: a bar for now, a tick for before."""
    place = np.arange(len(table))
    figure = Figure(
        [
            Bar(x=100 * table["after"], y=place, orientation="h", width=0.42, marker_color=palette.accent),
            Scatter(
                x=100 * table["before"],
                y=place,
                mode="markers",
                marker={"symbol": "line-ns", "size": 16, "line": {"width": 3, "color": palette.ink}},
                cliponaxis=False,
            ),
        ]
    )
    figure.update_traces(hoverinfo="skip")
    _name_rows(figure, table)
    figure.update_layout(
        height=350,
        margin={"l": 0, "r": 12, "t": 26, "b": 0},
        showlegend=False,
        dragmode=False,
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_annotations(font_color=palette.ink)
    ticks = {"tickvals": [0, 25, 50, 75, 100], "gridcolor": palette.faint, "griddash": "dot"}
    figure.update_xaxes(title="probability (%)", range=[0, 100], zeroline=False, **ticks)
    figure.update_yaxes(visible=False, range=[max(len(table), 5) - 0.6, -0.85])
    return dress(figure, palette)


def _name_rows(figure: Figure, table: pd.DataFrame) -> None:
    for row, line in enumerate(table.itertuples(index=False)):
        for text, x, anchor in ((_short(str(line[0])), 0, "left"), (_numbers(*line[1:]), 1, "right")):
            note = {"xref": "paper", "x": x, "xanchor": anchor, "y": row - 0.26, "yanchor": "bottom"}
            figure.add_annotation(text=text, showarrow=False, **note)


def draw_reaction(table: pd.DataFrame, palette: Palette, *, edited: set[str], selected: str | None) -> Figure:
    """Draw by how much each gate differs, one row a block in depth order, on one scale symmetric about 0.

    ``table`` comes from `compare_gates`. The scale fits the blocks that are not among the paths ``edited``,
    whose names are marked: what was done to them by hand would make what follows pale.
    """
    by_hand = table["path"].isin([*edited])
    free = table.loc[~by_hand, "change"].to_numpy()
    span = fit_span(free if free.size else table["change"].to_numpy(), signed=True)
    marked = table.assign(block=table["block"].where(~by_hand, "✎ " + table["block"]))
    figure = draw_gates(marked, palette, value="change", order="channel", selected=selected, gates=span)
    # The means too, or those of the rows that react would all lie on one line.
    groups = table.loc[~by_hand].groupby("path", sort=False)["change"]
    reach = 1.2 * float((groups.mean().abs() + groups.std(ddof=0)).max()) if free.size else 0.0
    figure.update_traces(cliponaxis=True, selector={"cliponaxis": False})
    return figure.update_xaxes(range=[-reach, reach] if reach else None, col=2)


def draw_maps(photo: Image.Image, before: np.ndarray, after: np.ndarray, palette: Palette, *, signed: bool) -> Figure:
    """Lay two maps of (height, width) values over the photo, side by side on one scale; where one is 0 it is clear."""
    span = fit_span(np.stack([before, after]), signed=signed)
    height, width = before.shape
    figure = make_subplots(rows=1, cols=2, column_titles=["before", "after"], horizontal_spacing=0.03)
    for column, values in enumerate((before, after), 1):
        heat = Heatmap(z=encode(values, span), coloraxis="coloraxis", opacity=0.8, hoverinfo="skip", zsmooth=False)
        figure.add_trace(heat, row=1, col=column)
        figure.add_layout_image(**photo_layer(photo, width, height), row=1, col=column)
    unit = "speaks against ← 0 → speaks for" if signed else "none → strongest"
    scale = colour_axis(palette.veil if signed else palette.glow, palette, span, title=unit, thickness=10, y=-0.02)
    scale["colorbar"] |= {"yanchor": "top", "len": 0.5}
    figure.update_layout(
        height=430,
        margin={"l": 0, "r": 0, "t": 30, "b": 40},
        dragmode=False,
        plot_bgcolor="rgba(0,0,0,0)",
        coloraxis=scale,
    )
    figure.update_annotations(font_color=palette.ink)
    figure.update_xaxes(visible=False, range=[-0.5, width - 0.5], constrain="domain")
    figure.update_yaxes(visible=False, range=[height - 0.5, -0.5], constrain="domain")
    for column, axis in ((1, "x"), (2, "x2")):
        figure.update_yaxes(scaleanchor=axis, row=1, col=column)
    return dress(figure, palette)


def _short(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1].rstrip() + "…"


def _numbers(before: float, after: float, logit_before: float, logit_after: float) -> str:
    if logit_before == logit_after and before == after:
        return f"<b>{after:.1%}</b> · logit <b>{logit_after:.2f}</b>"
    return f"{before:.1%} → <b>{after:.1%}</b> · logit {logit_before:.2f} → <b>{logit_after:.2f}</b>"
