"""Two networks on one scale: their answers class by class, and their gates from the first block to
the last.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from se_viz.charts.dress import LAYOUT, LEGEND, literal, make_figure, rule
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import Span

SYMBOLS = ("circle", "diamond")
"""Marks of the first network and of the second, which also differ in colour."""

_NAME = 30
# Pixels: a class with its name, and what stands around all of them.
_ROW = 46
_AROUND = 96
_LOWER = 0.38
"""Share of the picture of gates that their spread takes."""


def draw_pair(table: pd.DataFrame, palette: Palette, *, names: tuple[str, str]) -> Figure:
    """Draw a table of `pair_answers`: a row a class, in it a mark for each network's probability,
    and a line between them.
    """
    rows = np.arange(len(table))
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": np.column_stack(
                [100 * table["first"], 100 * table["second"], np.full(len(table), np.nan)]
            ).ravel(),
            "y": np.repeat(rows, 3),
            "line": {"color": palette.faint, "width": 3},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    for number, (column, name) in enumerate(zip(("first", "second"), names, strict=True)):
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": literal(name),
                "x": 100 * table[column],
                "y": rows,
                "marker": _mark(number, palette, size=13),
                "cliponaxis": False,
                "text": [literal(text) for text in table["class"]],
                "hovertemplate": "<b>%{text}</b><br>%{x:.1f} %<extra></extra>",
            }
        )
    layout = {
        **LAYOUT,
        "height": _AROUND + _ROW * len(table),
        "margin": {"l": 8, "r": 12, "t": 30, "b": 72},
        "showlegend": True,
        "legend": LEGEND,
        "xaxis": {
            "title": "probability (%)",
            "range": [0, 100],
            "tickvals": [0, 25, 50, 75, 100],
            "zeroline": False,
            "gridcolor": palette.faint,
            "griddash": "dot",
        },
        "yaxis": {"visible": False, "range": [len(table) - 0.55, -0.75]},
        "annotations": list(_name_rows(table)),
    }
    return make_figure(data, layout, palette)


def draw_depth(tables: Mapping[str, pd.DataFrame], palette: Palette, *, gates: Span) -> Figure:
    """Draw a table of `tabulate_depth` for each network by its name: the mean gate of each block
    above, on the scale ``gates``, and the spread of its gates below.

    Where the second network alone has blocks, give an empty table for the first: colours stay.
    """
    data = []
    for number, (name, table) in enumerate(tables.items()):
        for axes, column in (("", "mean"), ("2", "std")):
            if len(table):
                line = _line(table, column, name=name, number=number, palette=palette)
                data.append(line | {"yaxis": f"y{axes}", "showlegend": not axes})
    spread = max(table["std"].to_numpy().max() for table in tables.values() if len(table))
    plain = {"showgrid": False, "zeroline": False}
    layout = {
        **LAYOUT,
        "height": 438,
        "margin": {"l": 0, "r": 12, "t": 44, "b": 76},
        "showlegend": True,
        "legend": LEGEND,
        "xaxis": {
            "title": "depth: first block to last block (%)",
            "range": [-2, 102],
            "tickvals": [0, 25, 50, 75, 100],
            "anchor": "y2",
            **plain,
        },
        "yaxis": {
            "title": "mean gate",
            "range": [gates.low, gates.high],
            "tickvals": [gates.low, gates.middle, gates.high],
            "tickformat": ".2~g",
            "domain": [_LOWER + 0.06, 1],
            **plain,
        },
        "yaxis2": {
            "title": "spread (std)",
            "range": [0, 1.15 * spread or 1.0],
            "nticks": 4,
            "domain": [0, _LOWER - 0.02],
            **plain,
        },
        "shapes": [{**rule(palette, y=gates.middle), "xref": "paper"}],
    }
    return make_figure(data, layout, palette)


def _line(
    table: pd.DataFrame, column: str, *, name: str, number: int, palette: Palette
) -> dict[str, Any]:
    colour = palette.series[number]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": literal(name),
        "legendgroup": str(number),
        "x": table["depth"],
        "y": table[column],
        "line": {"color": colour, "width": 2, "dash": "solid" if number == 0 else "dash"},
        "marker": _mark(number, palette, size=9),
        "cliponaxis": False,
        "text": [
            f"<b>{block}</b><br>mean gate {mean:.3f}, std {spread:.3f}"
            for block, mean, spread in zip(table["block"], table["mean"], table["std"], strict=True)
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _mark(number: int, palette: Palette, *, size: int) -> dict[str, Any]:
    return {"size": size, "symbol": SYMBOLS[number], "color": palette.series[number]}


def _name_rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row, (name, first, second) in enumerate(
        zip(table["class"], table["first"], table["second"], strict=True)
    ):
        short = name if len(name) <= _NAME else name[: _NAME - 1].rstrip() + "…"
        numbers = f"{first:.1%} · {second:.1%}"
        for text, x, anchor in ((f"<b>{literal(short)}</b>", 0, "left"), (numbers, 1, "right")):
            place = {"xref": "paper", "x": x, "xanchor": anchor, "y": row - 0.22}
            yield {"text": text, "showarrow": False, "yanchor": "bottom", **place}
