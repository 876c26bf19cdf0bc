"""The gate map as plain numbers, for a canvas in the browser.

`draw_gates` draws the same rows with Plotly.

Why: docs/decisions/025-gates-on-the-screen.md
"""

import base64
import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from se_viz.charts.dress import NOTHING
from se_viz.charts.gates import GateRow, Table, describe_stage, gate_rows, line_height, name_axis
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import GATES, Span, code_ticks, fit_span

MISSING = 2**16 - 1
"""The code of a value that is no finite number."""


def lay_out_gates(
    table: Table,
    palette: Palette,
    *,
    value: str = "gate",
    order: str = "gate",
    selected: str | None = None,
    gates: Span = GATES,
) -> dict[str, Any]:
    """Return all that a canvas needs to paint a gate table of one image, or its columns.

    The choices are those of `draw_gates`. Values are sent as 65,535 steps of their own range, all
    channels of the first block by index, then those of the second; where another column sorts them,
    it is sent as well.
    """
    rows = gate_rows(table, value, order)
    values = np.asarray(table[value])
    span = fit_span(values, signed=True) if value == "squeeze" else gates
    described = [_describe_row(row) for row in rows]
    stages = [list(stage) for _, stage in groupby(rows, key=lambda row: row.stage)]
    return {
        "value": value,
        "axis": name_axis(order),
        "rows": described,
        "stages": [
            {"place": stage[0].place - 1, "words": describe_stage(stage)} for stage in stages
        ],
        "values": pack(values),
        "keys": None if order in (value, "channel") else pack(np.asarray(table[order])),
        "sorted": order != "channel",
        "span": [span.low, span.high],
        "texts": [NOTHING] if span.empty else code_ticks(span)["ticktext"],
        "means": _lay_out_means(described, span, fitted=value == "squeeze"),
        "selected": selected,
        "line": line_height(rows),
        "colours": {
            "scale": palette.diverging,
            "page": palette.page,
            "ink": palette.ink,
            "faint": palette.faint,
            "missing": palette.missing,
            "clipped": [palette.clipped_low, palette.clipped_high],
        },
    }


def pack(values: np.ndarray) -> dict[str, Any]:
    """Return values as 16-bit steps of their own range, in base64: half a step is 1/131,068 of the
    range.
    """
    exact = values.astype(np.float64)
    finite = np.isfinite(exact)
    low, high = (
        (float(exact[finite].min()), float(exact[finite].max())) if finite.any() else (0.0, 0.0)
    )
    step = (high - low) / (MISSING - 1) or 1.0
    codes = np.full(exact.shape, MISSING, dtype="<u2")
    codes[finite] = np.rint((exact[finite] - low) / step)
    return {"low": low, "step": step, "codes": base64.b64encode(codes.tobytes()).decode()}


def _describe_row(row: GateRow) -> dict[str, Any]:
    return {
        "block": row.block,
        "path": row.path,
        "place": row.place,
        "channels": row.values.size,
        "mean": float(np.nanmean(row.values)),
        "spread": float(np.nanstd(row.values)),
    }


def _lay_out_means(rows: Sequence[dict[str, Any]], span: Span, *, fitted: bool) -> dict[str, Any]:
    """Return ends, ticks and rule of the axis of means: the scale of the colours, or fitted to
    what is there.
    """
    if not fitted:
        return {
            "ends": [span.low, span.high],
            "ticks": [span.low, span.middle, span.high],
            "rule": span.middle,
        }
    low = min(0.0, *(row["mean"] - row["spread"] for row in rows))
    high = max(0.0, *(row["mean"] + row["spread"] for row in rows))
    return {"ends": [low, high], "ticks": _round_ticks(low, high), "rule": span.middle}


def _round_ticks(low: float, high: float) -> list[float]:
    """Return two to four multiples of 1, 2 or 5 times a power of ten that lie from low to high."""
    if low == high:
        return [low]
    power = 10.0 ** math.floor(math.log10(high - low))
    step = next(
        step for step in (power / 5, power / 2, power, 2 * power) if (high - low) / step < 4
    )
    return [
        round(number * step, 12)
        for number in range(math.ceil(low / step), math.floor(high / step) + 1)
    ]
