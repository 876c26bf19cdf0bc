"""Channels that are no pictures: signals as curves, volumes slice by slice."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from plotly.graph_objects import Figure

from se_viz.charts.channel_maps import ROWS
from se_viz.charts.dress import divide, make_figure
from se_viz.charts.palettes import Palette

_SLICES = 32
"""The most slices that one figure holds."""


def draw_curves(
    features: np.ndarray,
    gates: np.ndarray,
    channels: Sequence[int],
    palette: Palette,
    heading: Callable[[int, float], dict[str, Any]],
) -> Figure:
    """Draw chosen channels of a signal, (channels, length), before and after scaling.

    Each pair shares one axis, with 0 in its middle, so that only the gate changes the height.
    """
    layout: dict[str, Any] = {
        "height": 284,
        "margin": {"l": 46, "r": 12, "t": 90, "b": 34},
        "dragmode": False,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "y": 1.28, "yanchor": "bottom", "x": 0},
        "annotations": [],
    }
    data: list[dict[str, Any]] = []
    places = divide(len(channels), 0.06)
    for number, (channel, across) in enumerate(zip(channels, places, strict=True), 1):
        layout["annotations"].append(heading(channel, sum(across) / 2))
        before = features[channel].astype(np.float64)
        reach = float(np.abs(before).max()) or 1.0
        scale = max(1.0, abs(float(gates[channel]))) * reach * 1.05
        layout[f"xaxis{number}"] = {
            "domain": across,
            "anchor": f"y{number}",
            "showgrid": False,
            "nticks": 3,
            "tickangle": 0,
        }
        layout[f"yaxis{number}"] = {
            "anchor": f"x{number}",
            "range": [-scale, scale],
            "nticks": 3,
            "zerolinecolor": palette.faint,
            "showgrid": False,
        }
        data += _pair_of_lines(number, before, before * gates[channel], palette)
    return make_figure(data, layout, palette)


def _pair_of_lines(
    number: int, before: np.ndarray, after: np.ndarray, palette: Palette
) -> list[dict[str, Any]]:
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": word,
            "legendgroup": word,
            "showlegend": number == 1,
            "y": values,
            "line": {"width": width, "color": colour},
            "xaxis": f"x{number}",
            "yaxis": f"y{number}",
        }
        for word, values, width, colour in zip(
            ROWS, (before, after), (1.2, 2.2), palette.series[:2], strict=True
        )
    ]


def choose_slices(depth: int) -> list[int]:
    """Return which slices of a volume are drawn: all, or as many as a figure holds."""
    count = min(depth, _SLICES)
    return [round(at * (depth - 1) / max(1, count - 1)) for at in range(count)]


def slice_slider(slices: Sequence[int], shown: int, traces: int) -> dict[str, Any]:
    """Return the slider that shows one slice at a time, of ``traces`` traces each."""
    steps = [
        {
            "label": str(slices[at]),
            "method": "restyle",
            "args": [
                "visible",
                [other == at for other in range(len(slices)) for _ in range(traces)],
            ],
        }
        for at in range(len(slices))
    ]
    words = {"prefix": "slice ", "xanchor": "left"}
    return {"active": shown, "steps": steps, "currentvalue": words, "pad": {"t": 12}}
