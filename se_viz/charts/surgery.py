"""What changed gates do: the gates of one block to pick from, the answer, and later gates, old
against new.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from se_viz.charts.dress import LAYOUT, literal, make_figure, rule
from se_viz.charts.gates import draw_gates
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import Span, fit_span

_NAME = 26


def draw_choice(
    table: pd.DataFrame,
    palette: Palette,
    *,
    order: str,
    selection: np.ndarray,
    span: Span,
    areas: bool = False,
) -> Figure:
    """Draw the gates of one block as points to pick: where each is now, and a stem from where it
    was.

    ``table`` has a row a channel with ``channel``, ``gate`` and ``after``. ``order`` is ``gate``
    (as they were before any edit, so that points keep their places) or ``channel``. ``selection``
    holds channels to stress, if there are any. With ``areas`` a box or a lasso picks, and the
    browser shows at once what is in it; otherwise clicks do. Points carry the channel as custom
    data.
    """
    table = table.sort_values(order, ascending=order == "channel", kind="stable")
    channel, old, new = (table[name].to_numpy() for name in ("channel", "gate", "after"))
    stressed = np.isin(channel, selection)
    points = {
        "type": "scatter",
        "x": np.arange(len(table)),
        "y": new,
        "mode": "markers",
        "marker": {"size": 7, "color": np.where(old != new, palette.accent, palette.ink)},
        "customdata": [str(number) for number in channel],
        "hovertemplate": "channel %{customdata}<br>gate %{y:.3f}<extra></extra>",
        **(_browser_stress(stressed) if areas else {}),
    }
    if stressed.any() and not areas:
        points["marker"] |= {
            "size": np.where(stressed, 9, 4),
            "opacity": np.where(stressed, 1, 0.2),
        }
    frame = _frame_choice(new, order, span, palette) | {"dragmode": "select" if areas else False}
    return make_figure([points, _stems(old, new, palette)], frame, palette)


def _browser_stress(stressed: np.ndarray) -> dict[str, Any]:
    # Only for areas: the next click on a point that the browser holds for selected would tell
    # nothing.
    return {
        "selected": {"marker": {"size": 9}},
        "unselected": {"marker": {"size": 4, "opacity": 0.2}},
        "selectedpoints": np.flatnonzero(stressed) if stressed.any() else None,
    }


def _stems(old: np.ndarray, new: np.ndarray, palette: Palette) -> dict[str, Any]:
    moved = np.flatnonzero(old != new)
    # One line with gaps: a trace a channel would take seconds.
    ends = np.column_stack([old[moved], new[moved], np.full(moved.size, np.nan)]).ravel()
    line = {"width": 1, "color": palette.accent}
    place = {"x": np.repeat(moved, 3), "y": ends}
    return {
        "type": "scatter",
        "mode": "lines",
        "line": line,
        "opacity": 0.35,
        "hoverinfo": "skip",
        **place,
    }


def _frame_choice(gates: np.ndarray, order: str, span: Span, palette: Palette) -> dict[str, Any]:
    low = min(span.low, float(gates.min()))
    high = max(span.high, float(gates.max()))
    slack = 0.04 * (high - low)
    words = (
        "channels, widest open first (before any edit)" if order == "gate" else "channels, by index"
    )
    bare = {"showgrid": False, "zeroline": False}
    return {
        **LAYOUT,
        "height": 290,
        "xaxis": {"title": words, "range": [-0.02 * len(gates), 1.02 * len(gates)], **bare},
        "yaxis": {"title": "gate", "range": [low - slack, high + slack], **bare},
        "shapes": [rule(palette, y=span.middle)],
    }


def draw_answers(table: pd.DataFrame, palette: Palette, *, value: str = "") -> Figure:
    """Draw the probability of each class of a table of `compare_answers`: a bar for now, a tick
    for before.

    Numbers that are no probabilities are drawn as they are, on an axis of the name ``value``.
    """
    factor = 1 if value else 100
    rows = {"y": np.arange(len(table)), "hoverinfo": "skip"}
    now = {"type": "bar", "x": factor * table["after"], "orientation": "h", "width": 0.42, **rows}
    tick = {"symbol": "line-ns", "size": 16, "line": {"width": 3, "color": palette.ink}}
    before = {
        "type": "scatter",
        "x": factor * table["before"],
        "mode": "markers",
        "marker": tick,
        "cliponaxis": False,
    }
    ticks = {"gridcolor": palette.faint, "griddash": "dot"}
    share = {"title": "probability (%)", "range": [0, 100], "tickvals": [0, 25, 50, 75, 100]}
    layout = {
        **LAYOUT,
        "height": 350,
        "margin": {"l": 0, "r": 12, "t": 26, "b": 0},
        "xaxis": {**({"title": value} if value else share), "zeroline": bool(value), **ticks},
        "yaxis": {"visible": False, "range": [max(len(table), 5) - 0.6, -0.85]},
        "annotations": list(_name_rows(table, _values if value else _numbers)),
    }
    return make_figure(
        [now | {"marker": {"color": palette.accent}}, before | rows], layout, palette
    )


def _name_rows(
    table: pd.DataFrame, say: Callable[[float, float, float, float], str]
) -> Iterator[dict[str, Any]]:
    for row, line in enumerate(table.itertuples(index=False)):
        for text, x, anchor in (
            (literal(_short(str(line[0]))), 0, "left"),
            (say(*line[1:]), 1, "right"),
        ):
            note = {
                "xref": "paper",
                "x": x,
                "xanchor": anchor,
                "y": row - 0.26,
                "yanchor": "bottom",
            }
            yield {"text": text, "showarrow": False, **note}


def draw_reaction(
    table: pd.DataFrame, palette: Palette, *, edited: set[str], selected: str | None
) -> Figure:
    """Draw by how much each gate differs, one row a block in depth order, on one scale symmetric
    about 0.

    ``table`` comes from `compare_gates`. The scale fits the blocks that are not among the paths
    ``edited``, whose names are marked: what was done to them by hand would make what follows pale.
    """
    by_hand = table["path"].isin([*edited])
    free = table.loc[~by_hand, "change"].to_numpy()
    span = fit_span(free if free.size else table["change"].to_numpy(), signed=True)
    marked = table.assign(block=table["block"].where(~by_hand, "✎ " + table["block"]))
    figure = draw_gates(
        marked, palette, value="change", order="channel", selected=selected, gates=span
    )
    # The means too, or those of the rows that react would all lie on one line.
    rows = table.loc[~by_hand] if free.size else table
    changes = [group.to_numpy() for _, group in rows.groupby("path", sort=False)["change"]]
    reach = max(float(abs(change.mean()) + change.std()) for change in changes)
    figure.update_traces(cliponaxis=True, selector={"cliponaxis": False})
    return figure.update_layout(xaxis2=_side_axis(reach)) if reach else figure


def _side_axis(reach: float) -> dict[str, Any]:
    """Return the axis of means and spreads: a number at either end, as they are read by."""
    end = float(f"{reach:.1g}")
    return {
        "title": {"text": "change: mean ± std"},
        "range": [-1.2 * max(reach, end), 1.2 * max(reach, end)],
        "tickvals": [-end, 0, end],
        "ticktext": [f"{-end:.1g}".replace("-", "−"), "0", f"+{end:.1g}"],
    }


def _short(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1].rstrip() + "…"


def _values(before: float, after: float, *_: float) -> str:
    return f"<b>{after:.4g}</b>" if before == after else f"{before:.4g} → <b>{after:.4g}</b>"


def _numbers(before: float, after: float, logit_before: float, logit_after: float) -> str:
    if logit_before == logit_after and before == after:
        return f"<b>{after:.1%}</b> · logit <b>{logit_after:.2f}</b>"
    return (
        f"{before:.1%} → <b>{after:.1%}</b> · logit {logit_before:.2f} → <b>{logit_after:.2f}</b>"
    )
