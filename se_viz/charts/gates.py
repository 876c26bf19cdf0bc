"""The gate map: every channel of every block as one row a block, in one figure of a few traces.

Why: docs/decisions/025-gates-on-the-screen.md
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
from plotly.graph_objects import Figure

from se_viz.charts.dress import colour_axis, invisible_marks, make_figure
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import GATES, Span, encode, fit_span

ORDERS = {"gate": "gate", "squeeze": "squeeze", "channel": "index"}
"""What channels can be sorted by: column of the gate table, and its name on the axis."""

_NAMES = ORDERS | {"first": "the first photo's gate"}
_BINS = 32
# Where the mean of each block begins, and the gap before it, as shares of the width.
_SPLIT = 0.75
_GAP = 0.045
_BAR = {"thickness": 8, "len": 0.4, "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"}


@runtime_checkable
class Table(Protocol):
    """A gate table as a pandas DataFrame, or a mapping of its columns to arrays."""

    def __getitem__(self, name: str, /) -> Any:
        """Return a column."""
        ...


@dataclass(frozen=True, slots=True)
class GateRow:
    """One block as it is drawn."""

    block: str
    """Its label."""
    path: str
    """Its name in the model."""
    stage: int
    """Its stage."""
    place: int
    """Its line from the top, counted from 2: each stage has an empty line before it, for its
    heading."""
    values: np.ndarray
    """What is shown of each channel, in the order of the row."""


def draw_gates(
    table: Table,
    palette: Palette,
    *,
    value: str = "gate",
    order: str = "gate",
    selected: str | None = None,
    gates: Span = GATES,
) -> Figure:
    """Draw a gate table of one image, or its columns: colours for channels, beside them mean and
    spread of each block.

    ``value`` is ``gate`` (on the fixed scale ``gates``, 0..1 for sigmoids), ``squeeze`` (symmetric
    about 0, shared by all blocks) or another column, on the scale ``gates``; ``order`` sorts the
    channels of each block by a key of ``ORDERS``; ``selected`` is a block to frame. Points carry
    the block's path as custom data, so that a click can open it.
    """
    rows = gate_rows(table, value, order)
    everything = np.concatenate([row.values for row in rows])
    # Squeezes have no range of their own, so that their scale is fitted, to all blocks at once.
    span = fit_span(everything, signed=True) if value == "squeeze" else gates
    stages = [list(stage) for _, stage in groupby(rows, key=lambda row: row.stage)]
    data = [heat for stage in stages for heat in _colours(stage, span)]
    data += [_targets(rows, value), _means(rows, palette, value), *_missing(rows, palette)]
    rule = {
        "type": "line",
        "x0": span.middle,
        "x1": span.middle,
        "y0": 0,
        "y1": 1,
        "xref": "x2",
        "yref": "y2 domain",
    }
    layout = {
        "height": 120 + (rows[-1].place + 1) * line_height(rows),
        "margin": {"l": 0, "r": 0, "t": 10, "b": 0},
        "showlegend": False,
        "dragmode": False,
        "hovermode": "closest",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "coloraxis": colour_axis(palette.diverging, palette, span, title=f"{value}  ", **_BAR),
        "annotations": [_heading(stage) for stage in stages],
        "shapes": [
            {**rule, "line": {"color": palette.faint, "width": 1, "dash": "dot"}},
            *(_frame(row, palette) for row in rows if row.path == selected),
        ],
        **_axes(rows, order, span if value == "gate" else None),
    }
    return make_figure(data, layout, palette)


def gate_rows(table: Table, value: str, order: str) -> list[GateRow]:
    """Return a row for each block of a gate table of one image, or of its columns, as `draw_gates`
    draws them.
    """
    names = ("block", "path", "stage", "channel", order)
    blocks, paths, stages, channels, keys = (np.asarray(table[name]) for name in names)
    values = np.asarray(table[value], dtype=np.float32)
    rows: list[GateRow] = []
    place = 0
    previous = 0
    # Of one image, in forward order: each block begins with its channel 0.
    for start, end in pairwise([*np.flatnonzero(channels == 0), len(channels)]):
        stage = int(stages[start])
        # Every stage begins with an empty line for its heading.
        place += 1 + (stage != previous)
        previous = stage
        # By index upwards, by a value downwards; equal values keep the order of their channels.
        ranks = keys[start:end] if order == "channel" else -keys[start:end]
        ordered = values[start:end][ranks.argsort(kind="stable")]
        rows.append(GateRow(str(blocks[start]), str(paths[start]), stage, place, ordered))
    return rows


def _colours(rows: list[GateRow], span: Span) -> Iterator[dict[str, Any]]:
    for channels, alike in groupby(rows, key=lambda row: row.values.size):
        blocks = list(alike)
        yield {
            "type": "heatmap",
            "z": np.stack([encode(row.values, span) for row in blocks]),
            # In percent: a block of any width fills its row.
            "x0": 50 / channels,
            "dx": 100 / channels,
            "y": [row.place for row in blocks],
            "coloraxis": "coloraxis",
            "ygap": 2,
            "hoverinfo": "skip",
        }


def line_height(rows: Sequence[GateRow]) -> float:
    """Return how many pixels high a row is: fewer where there are many."""
    return max(13.0, min(27.0, 520 / len(rows)))


def name_stage(stage: int) -> str:
    """Return what to call a stage: its number, and how many pixels of the image one of its own is
    wide.
    """
    if stage < 0:
        return f"Stage {stage} · {2**-stage} times the image's side"
    return f"Stage {stage} · stride {2**stage:g}"


def describe_stage(rows: Sequence[GateRow]) -> tuple[str, str]:
    """Return the name of the stage that these rows are, and how many blocks and channels it has."""
    fewest, most = (end(row.values.size for row in rows) for end in (min, max))
    channels = f"{most}" if fewest == most else f"{fewest} to {most}"
    blocks = f"{len(rows)} block{'s' if len(rows) > 1 else ''} of {channels} channels"
    return name_stage(rows[0].stage), blocks


def name_axis(order: str) -> str:
    """Return the title of the axis along a row whose channels have this order."""
    sorting = f"channels, sorted by {_NAMES[order]}" if order != "channel" else "channels, by index"
    return f"{sorting} (% of the block)"


def _heading(rows: Sequence[GateRow]) -> dict[str, Any]:
    name, blocks = describe_stage(rows)
    place = {
        "x": 0,
        "y": rows[0].place - 0.95,
        "xref": "x",
        "yref": "y",
        "xanchor": "left",
        "showarrow": False,
    }
    return {"text": f"<b>{name}</b>  {blocks}", **place}


def _targets(rows: list[GateRow], value: str) -> dict[str, Any]:
    counts = [min(_BINS, row.values.size) for row in rows]
    texts: list[str] = []
    for row, count in zip(rows, counts, strict=True):
        ends = np.arange(count + 1) * row.values.size // count
        sizes = np.diff(ends)
        means = np.add.reduceat(row.values, ends[:-1]) / sizes
        texts += [
            f"{mean:.3f}, mean of {size}"
            for mean, size in zip(means.tolist(), sizes.tolist(), strict=True)
        ]
    return {
        **invisible_marks(14),
        "x": np.concatenate(
            [(np.arange(count, dtype=np.float32) + 0.5) * 100 / count for count in counts]
        ),
        "y": np.repeat([row.place for row in rows], counts).astype(np.int16),
        # Arrays: Plotly copies lists word by word, three times.
        "text": np.array(texts),
        "customdata": np.repeat([row.path for row in rows], counts),
        # The block's name stands on the axis: in each of the texts, it would be a third of all that
        # is sent.
        "hovertemplate": f"<b>%{{y}}</b><br>{value} %{{text}} channels here<br>click to open the "
        "block<extra></extra>",
    }


def _means(rows: list[GateRow], palette: Palette, value: str) -> dict[str, Any]:
    # Gates that are no numbers have marks of their own.
    spreads = [float(np.nanstd(row.values)) for row in rows]
    # A click must not pale all others.
    same = {"marker": {"opacity": 1}}
    return {
        "type": "scatter",
        "x": [float(np.nanmean(row.values)) for row in rows],
        "y": [row.place for row in rows],
        "xaxis": "x2",
        "yaxis": "y2",
        "error_x": {"array": spreads, "color": palette.faint, "thickness": 1.5, "width": 0},
        "mode": "markers",
        "marker": {"size": 9, "color": palette.ink},
        "cliponaxis": False,
        "selected": same,
        "unselected": same,
        "text": [row.block for row in rows],
        "customdata": [row.path for row in rows],
        "hovertemplate": f"<b>%{{text}}</b><br>mean {value} %{{x:.3f}}<br>click to open the "
        "block<extra></extra>",
    }


def _missing(rows: list[GateRow], palette: Palette) -> Iterator[dict[str, Any]]:
    xs = [(np.flatnonzero(np.isnan(row.values)) + 0.5) * 100 / row.values.size for row in rows]
    if sum(map(len, xs)):
        ys = [np.full(len(x), row.place) for x, row in zip(xs, rows, strict=True)]
        marker = {"symbol": "x-thin", "size": 7, "line": {"color": palette.missing, "width": 2}}
        places = {"x": np.concatenate(xs), "y": np.concatenate(ys)}
        yield {
            "type": "scatter",
            "mode": "markers",
            "marker": marker,
            "hoverinfo": "skip",
            **places,
        }


def _frame(row: GateRow, palette: Palette) -> dict[str, Any]:
    box = {
        "x0": 0,
        "x1": 100,
        "y0": row.place - 0.48,
        "y1": row.place + 0.48,
        "xref": "x",
        "yref": "y",
    }
    return {"type": "rect", "line": {"color": palette.ink, "width": 2}, **box}


def _axes(rows: list[GateRow], order: str, span: Span | None) -> dict[str, Any]:
    blank = {"showgrid": False, "zeroline": False}
    left = {"domain": [0, _SPLIT - _GAP / 2]}
    right = {"domain": [_SPLIT + _GAP / 2, 1], "anchor": "y2"}
    ticks = {
        "tickvals": [row.place for row in rows],
        "ticktext": [row.block for row in rows],
        "ticks": "",
    }
    down = {"range": [rows[-1].place + 0.6, rows[0].place - 1.4], **blank, **ticks}
    ends = (
        {"range": [span.low, span.high], "tickvals": [span.low, span.middle, span.high]}
        if span
        else {"nticks": 4}
    )
    return {
        "xaxis": {"title": name_axis(order), "range": [0, 100], **blank, **left},
        "yaxis": down,
        "xaxis2": {"title": "mean ± std", "tickangle": 0, **blank, **right, **ends},
        "yaxis2": {**down, "matches": "y", "showticklabels": False, "anchor": "x2"},
    }
