"""Channels in order of what they add to the difference between two maps, each with its gate."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from se_viz.charts.dress import dress
from se_viz.charts.palettes import Palette


def draw_makers(table: pd.DataFrame, palette: Palette, *, unit: str, selected: int | None = None) -> go.Figure:
    """Draw the first rows of a table of channels with ``difference`` and ``gate``: one bar a channel, 0 in the middle.

    The bar of the ``selected`` channel is filled with the accent. Points carry the channel's number as custom data.
    """
    colours = [palette.accent if channel == selected else palette.series[0] for channel in table["channel"]]
    reach = 1.1 * float(np.abs(table["difference"].to_numpy()).max()) or 1.0
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": table["difference"].to_numpy(),
        "y": [f"#{channel} · s = {gate:.2f}" for channel, gate in zip(table["channel"], table["gate"], strict=True)],
        "marker": {"color": colours},
        "selected": {"marker": {"opacity": 1}},
        "unselected": {"marker": {"opacity": 1}},
        "customdata": [str(channel) for channel in table["channel"]],
        "text": [f"{value:+.1e}" if abs(value) < 1e-3 else f"{value:+.2g}" for value in table["difference"]],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "<b>#%{customdata}</b><br>%{x:+.4f}, click to open<extra></extra>",
    }
    layout = {
        "height": 90 + 26 * len(table),
        "margin": {"l": 0, "r": 8, "t": 8, "b": 0},
        "dragmode": False,
        "bargap": 0.3,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {"title": {"text": f"after - before ({unit})"}, "range": [-1.25 * reach, 1.25 * reach]},
        "yaxis": {"autorange": "reversed", "type": "category", "automargin": True, "ticks": ""},
    }
    layout["xaxis"] |= {"zeroline": True, "zerolinecolor": palette.faint, "showgrid": False}
    return dress(go.Figure({"data": [bars], "layout": layout}, skip_invalid=False), palette)
