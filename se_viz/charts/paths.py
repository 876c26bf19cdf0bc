"""The two parts of a logit's rise: bars through gates and past them, and maps in cells."""

from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from se_viz.charts.dress import LEGEND, make_figure
from se_viz.charts.numbers import count_decimals, signed
from se_viz.charts.palettes import Palette

PAST = "past the gates"
THROUGH = "through the gates"
"""What the two parts are called."""

CELLS = 28
"""Fewest cells along the side of a map, where the side can be divided."""

_ROW = 26
_FRAME = 92
_LEGEND = 30

_Kind: TypeAlias = tuple[str, str, str]
"""What bars are called, their column, and their colour."""


def draw_flows(table: pd.DataFrame, rise: float, palette: Palette) -> Figure:
    """Draw one row for each place, from the top: what came past its gates and through them, in
    logits.

    ``table`` has the columns place, past and through; a value that is missing has no bar. ``path``,
    where there is one, is what a click on a bar opens. Where both parts are drawn, a rule marks the
    rise that they add up to.
    """
    kinds = [(PAST, "past", palette.series[0]), (THROUGH, "through", palette.series[1])]
    parts = [kind for kind in kinds if not np.isnan(table[kind[1]]).all()]
    data = [_bars(table, kind, palette) for kind in parts]
    whole = len(parts) > 1
    bars = int(table[[column for _, column, _ in parts]].notna().to_numpy().sum())
    layout = {
        "height": _FRAME + _LEGEND * whole + _ROW * bars,
        "margin": {"l": 0, "r": 0, "t": 30, "b": 0},
        "dragmode": False,
        "bargap": 0.25,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": whole,
        "legend": {**LEGEND, "traceorder": "normal"},
        "xaxis": {
            "title": _name_axis(rise, whole=whole),
            "range": _reach(table, rise if whole else 0.0),
            "exponentformat": "power",
            "zeroline": True,
            "zerolinecolor": palette.faint,
        },
        "yaxis": {
            "title": "",
            "autorange": "reversed",
            "automargin": True,
            "ticks": "",
            "showgrid": False,
        },
        "shapes": [_rule(rise, palette)] if whole else [],
    }
    return make_figure(data, layout, palette)


def sum_cells(values: np.ndarray) -> np.ndarray:
    """Return sums over square cells, about as many of them along a side as ``CELLS``.

    A side of no divisor stays, and so do a signal and a volume.

    Single pixels alternate in sign, and what is left of a place tells more.
    """
    if values.ndim != 2:
        return values
    height, width = values.shape
    size = max(
        size for size in range(1, max(width // CELLS, 1) + 1) if width % size == 0 == height % size
    )
    return values.reshape(height // size, size, width // size, size).sum((1, 3))


def _name_axis(rise: float, *, whole: bool) -> str:
    number = signed(rise, count_decimals([rise]))
    return f"logits (dotted: the rise, {number})" if whole else f"logits, of a rise by {number}"


def _bars(table: pd.DataFrame, kind: _Kind, palette: Palette) -> dict[str, Any]:
    name, column, colour = kind
    values = table[column]
    decimals = count_decimals(table[["past", "through"]].to_numpy().ravel())
    clear = {"marker": {"opacity": 1}}
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": [None if np.isnan(value) else value for value in values],
        "y": table["place"].tolist(),
        "text": ["" if np.isnan(value) else signed(value, decimals) for value in values],
        # Inside of a bar that is long enough: beyond its end the rule would cross the number.
        "textposition": "auto",
        "insidetextanchor": "end",
        "insidetextfont": {"color": palette.page},
        "outsidetextfont": {"color": palette.ink},
        "textangle": 0,
        "cliponaxis": False,
        "marker": {"color": colour},
        # A click must not pale all others.
        "selected": clear,
        "unselected": clear,
        "customdata": table["path"].tolist() if "path" in table else None,
        "hovertemplate": f"<b>%{{y}}</b><br>{name}: %{{x:+.3f}} logits<extra></extra>",
    }


def _reach(table: pd.DataFrame, rise: float) -> tuple[float, float]:
    values = np.append(table[["past", "through"]].to_numpy(dtype=float).ravel(), [0.0, rise])
    low = float(np.nanmin(values))
    high = float(np.nanmax(values))
    # The numbers stand outside of the bars; and where nothing moved, an axis still needs a range.
    room = 0.16 * (high - low) or 1.0
    return low - room, high + room


def _rule(rise: float, palette: Palette) -> dict[str, Any]:
    ends = {"x0": rise, "x1": rise, "y0": 0, "y1": 1, "yref": "paper"}
    return {
        "type": "line",
        "layer": "below",
        "line": {"color": palette.ink, "width": 1.5, "dash": "dot"},
        **ends,
    }
