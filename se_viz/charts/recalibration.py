"""Channels in order of what they add to the difference between two maps, each with its gate."""

from typing import Any

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from se_viz.charts.dress import make_figure
from se_viz.charts.palettes import Palette


def draw_makers(
    table: pd.DataFrame, palette: Palette, *, unit: str, selected: int | None = None
) -> Figure:
    """Draw the first rows of a table of channels with ``difference`` and ``gate``: one bar a
    channel, 0 in the middle.

    The bar of the ``selected`` channel is filled with the accent. Points carry the channel's number
    as custom data.
    """
    reach = 1.1 * float(np.abs(table["difference"].to_numpy()).max()) or 1.0
    layout = {
        "height": 112 + 26 * len(table),
        "margin": {"l": 0, "r": 8, "t": 30, "b": 0},
        "dragmode": False,
        "bargap": 0.3,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {
            "title": f"after - before ({unit})",
            "range": [-1.25 * reach, 1.25 * reach],
            "exponentformat": "power",
            "zeroline": True,
            "zerolinecolor": palette.faint,
            "showgrid": False,
        },
        "yaxis": {"autorange": "reversed", "type": "category", "automargin": True, "ticks": ""},
    }
    return make_figure([_bars(table, palette, selected)], layout, palette)


def _bars(table: pd.DataFrame, palette: Palette, selected: int | None) -> dict[str, Any]:
    values = table["difference"].to_numpy()
    colours = [
        palette.accent if channel == selected else palette.series[0] for channel in table["channel"]
    ]
    # A click must not pale all others.
    full = {"marker": {"opacity": 1}}
    return {
        "type": "bar",
        "orientation": "h",
        "x": values,
        "y": [
            f"#{channel} · s = {gate:.2f}"
            for channel, gate in zip(table["channel"], table["gate"], strict=True)
        ],
        "marker": {"color": colours},
        "selected": full,
        "unselected": full,
        "customdata": [str(channel) for channel in table["channel"]],
        "text": [f"{value:+.1e}" if abs(value) < 1e-3 else f"{value:+.2g}" for value in values],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "<b>#%{customdata}</b><br>%{x:+.4f}, click to open<extra></extra>",
    }
