"""Counterfactuals over depth: how far the answer moves when gates at one place are replaced."""

from typing import Any

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from se_viz.charts.dress import LAYOUT, LEGEND, make_figure, rule
from se_viz.charts.palettes import Palette
from se_viz.experiments import KINDS

_SYMBOLS = ("circle", "diamond", "square", "triangle-up")
_FAINT = 0.35
_STRIP = 0.3
_COLUMNS = {"change": (100, "points"), "divergence": (1, "nats")}
"""What is drawn, from the top, with the factor to its unit."""
_OF_VALUES = {"change": (1, ""), "divergence": (100, "%")}
"""The same of numbers that are no probabilities."""
_FINEST = {"change": 10.0, "divergence": 0.1}
"""How far axes reach at least, in these units: as far as what a verdict calls much."""


def draw_counterfactuals(
    summary: pd.DataFrame,
    palette: Palette,
    *,
    kind: str | None = None,
    dots: pd.DataFrame | None = None,
    value: str = "",
) -> Figure:
    """Draw a summary of counterfactuals: change of probability above, KL divergence below, depth
    from left to right.

    Marks are medians, bars reach over the middle half; a hollow mark is a place where a label
    flipped. With ``dots``, a table of counterfactuals, each lender is a dot. All other kinds than
    ``kind`` stand back. An answer that is no probability is drawn as it is, on axes of the name
    ``value``. Points carry the block's path as custom data, so that a click can open it.
    """
    places = {place: index for index, place in enumerate(summary["place"].unique())}
    kinds = [key for key in KINDS if key in set(summary["kind"])]
    data = []
    columns = _OF_VALUES if value else _COLUMNS
    lenders = None if dots is None else dots.loc[dots["lender"] != ""]
    for position, key in enumerate(kinds):
        rows = summary.loc[summary["kind"] == key]
        # Side by side, so that no point hides another.
        shift = 0.12 * (position - (len(kinds) - 1) / 2)
        colour = palette.series[list(KINDS).index(key)]
        place = [places[place] + shift for place in rows["place"]]
        opacity = 1 if kind in (None, key) else _FAINT
        common = {**_look(rows, key, colour), "x": place, "opacity": opacity}
        for line, column in enumerate(columns, 1):
            axes = {"xaxis": f"x{line}", "yaxis": f"y{line}", "showlegend": line == 1}
            if key == "other" and lenders is not None and len(lenders):
                data.append(
                    {
                        **_dots(lenders, (column, *columns[column]), places, shift, colour),
                        **axes,
                        "showlegend": False,
                    }
                )
                data[-1]["opacity"] = opacity
            data.append({**common, **_values(rows, (column, *columns[column]), colour), **axes})
    return make_figure(data, _frame(summary, lenders, list(places), palette, value), palette)


def _dots(
    lenders: pd.DataFrame,
    what: tuple[str, int, str],
    places: dict[str, int],
    shift: float,
    colour: str,
) -> dict[str, Any]:
    column, factor, unit = what
    order = lenders.groupby("place").cumcount().to_numpy()
    # A place of its own in a narrow strip, so that equal changes do not lie on one another.
    strip = _STRIP * ((order * 0.618) % 1 - 0.5)
    same = {"marker": {"opacity": _FAINT}}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": KINDS["other"],
        "legendgroup": "other",
        "x": np.array([places[place] for place in lenders["place"]]) + shift + strip,
        "y": factor * lenders[column].to_numpy(),
        "marker": {"size": 5, "color": colour, "opacity": _FAINT},
        "selected": same,
        "unselected": same,
        "customdata": lenders["path"].tolist(),
        "text": lenders["place"].tolist(),
        "hovertemplate": f"<b>%{{text}}</b><br>one lender: %{{y:.3f}} {unit}<extra></extra>",
    }


def _look(rows: pd.DataFrame, kind: str, colour: str) -> dict[str, Any]:
    symbol = _SYMBOLS[list(KINDS).index(kind)]
    # Hollow as soon as one label flipped.
    marks = [symbol if share == 1 else f"{symbol}-open" for share in rows["kept"]]
    # A click must not pale all others.
    same = {"marker": {"opacity": 1}}
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(rows) > 1 else "markers",
        "name": KINDS[kind],
        "legendgroup": kind,
        "line": {"color": colour, "width": 1.5},
        "marker": {
            "size": 9,
            "color": colour,
            "symbol": marks,
            "line": {"width": 2, "color": colour},
        },
        "selected": same,
        "unselected": same,
        "customdata": rows["path"].tolist(),
        "text": [
            f"<b>{place}</b><br>{KINDS[kind]}<br>label kept: {share:.0%}"
            for place, share in zip(rows["place"], rows["kept"], strict=True)
        ],
    }


def _values(rows: pd.DataFrame, what: tuple[str, int, str], colour: str) -> dict[str, Any]:
    column, factor, unit = what
    several = bool((rows["count"] > 1).any())
    reach = {
        "array": factor * (rows[f"{column}_high"] - rows[column]),
        "arrayminus": factor * (rows[column] - rows[f"{column}_low"]),
        "symmetric": False,
    }
    return {
        "y": factor * rows[column],
        "error_y": {**reach, "color": colour, "thickness": 1.5, "width": 3, "visible": several},
        "hovertemplate": f"%{{text}}<br>%{{y:.3f}} {unit}<extra></extra>",
    }


def _frame(
    summary: pd.DataFrame,
    lenders: pd.DataFrame | None,
    places: list[str],
    palette: Palette,
    value: str,
) -> dict[str, Any]:
    ends = {
        name: summary[[f"{name}_low", f"{name}_high"]].abs().to_numpy().ravel() for name in _COLUMNS
    }
    if lenders is not None:
        ends = {name: np.append(values, lenders[name].abs()) for name, values in ends.items()}
    reach, top = (float(ends[name].max()) for name in _COLUMNS)
    # Never finer: nothing must not look like something.
    reach = 1.1 * reach if value else max(110 * reach, _FINEST["change"])
    top = max(1.1 * top, _FINEST["divergence"]) * (100 if value else 1)
    depth = {
        "range": [-0.6, len(places) - 0.4],
        "tickvals": list(range(len(places))),
        "ticktext": places,
        "showgrid": False,
        "zeroline": False,
    }
    below = {
        "title": "replaced gates, from the first block to the last",
        "tickangle": -90 if len(places) > 8 else 0,
    }
    above, under = (
        (f"change of<br>the {value}", "change<br>(% of its size)")
        if value
        else ("change of probability<br>(percentage points)", "KL(live || replaced)<br>(nats)")
    )
    change = {"title": above, "range": [-reach, reach] if reach else None}
    divergence = {"title": under, "range": [-0.03 * top, top]}
    return {
        **LAYOUT,
        "height": 480,
        "showlegend": True,
        "legend": LEGEND,
        "xaxis": {**depth, "anchor": "y", "matches": "x2", "showticklabels": False},
        "xaxis2": {**depth, **below, "anchor": "y2"},
        "yaxis": {**change, "anchor": "x", "domain": [0.48, 1], "zeroline": False},
        "yaxis2": {**divergence, "anchor": "x2", "domain": [0, 0.41], "zeroline": False},
        "shapes": [rule(palette, y=0)],
    }
