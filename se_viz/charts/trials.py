"""Networks with and without SE blocks, trained in pairs: accuracy against cost, differences with
their intervals, and gates over the steps of a training run.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from plotly.colors import hex_to_rgb, sample_colorscale
from plotly.graph_objects import Figure

from se_viz.charts.dress import LAYOUT, LEGEND, literal, make_figure, rule
from se_viz.charts.gates import name_stage
from se_viz.charts.palettes import Palette
from se_viz.experiments import VARIANTS, Difference, Variant

WORDS: Mapping[Variant, str] = {
    "plain": "without SE",
    "se": "with SE",
    "wide": "widened",
}
"""What the variants are called."""
_SYMBOLS: Mapping[Variant, str] = {"plain": "circle-open", "se": "diamond", "wide": "square-open"}
COSTS = {
    "parameters": ("parameters, millions", 1e-6, "%{x:.2f} M parameters"),
    "flops": ("FLOPs of one image, 10⁹", 1e-9, "%{x:.3f} GFLOPs"),
    "milliseconds": ("time of one image, ms", 1.0, "%{x:.1f} ms"),
}
"""For each column of cost the title of its axis, its unit, and what a point is called."""


def draw_costs(
    table: pd.DataFrame, cost: str, titles: Mapping[str, str], palette: Palette
) -> Figure:
    """Draw accuracy against a column of ``COSTS``: a point a run of `tabulate_runs`, and a line
    from the mean of the plain networks to that of their twins.

    ``titles`` names the families, at most four.
    """
    data = []
    for place, (family, title) in enumerate(titles.items()):
        rows = table.loc[(table["family"] == family) & table[cost].notna()]
        data += _family(rows, cost, literal(title), palette.series[place])
    name, *_ = COSTS[cost]
    layout = {
        **LAYOUT,
        "height": 420,
        "showlegend": True,
        "legend": LEGEND,
        "xaxis": {"title": name, "zeroline": False},
        "yaxis": {
            "title": "top-1 accuracy, %",
            "zeroline": False,
            "range": _reach(table["top1"].to_numpy()),
        },
    }
    return make_figure(data + _key(palette), layout, palette)


def _family(rows: pd.DataFrame, cost: str, title: str, colour: str) -> list[dict[str, Any]]:
    _, unit, told = COSTS[cost]
    data = []
    means = {}
    for variant in VARIANTS:
        own = rows.loc[rows["variant"] == variant]
        if own.empty:
            continue
        x, y = unit * own[cost], 100 * own["top1"]
        means[variant] = (x.mean(), y.mean())
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": x,
                "y": y,
                "name": f"{title} {WORDS[variant]}",
                "showlegend": False,
                "marker": _mark(variant, colour),
                "customdata": own["seed"],
                "hovertemplate": f"<b>{title} {WORDS[variant]}</b>, seed %{{customdata}}<br>"
                f"{told}<br>top-1 %{{y:.2f}} %<extra></extra>",
            }
        )
    line = [means[variant] for variant in ("plain", "se") if variant in means]
    data.append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": [x for x, _ in line],
            "y": [y for _, y in line],
            "name": title,
            "line": {"color": colour, "width": 2},
            "hoverinfo": "skip",
        }
    )
    return data


def _mark(variant: Variant, colour: str) -> dict[str, Any]:
    line = {"width": 2, "color": colour}
    return {"symbol": _SYMBOLS[variant], "size": 11, "color": colour, "line": line}


def _reach(accuracy: np.ndarray) -> tuple[float, float]:
    """Return an axis of at least six points, in percent: less would blow up what is chance."""
    low, high = 100 * accuracy.min(), 100 * accuracy.max()
    more = max(0.5, (6 - (high - low)) / 2)
    return low - more, high + more


def _key(palette: Palette) -> list[dict[str, Any]]:
    """Return what the legend says of shapes, which mean the same in every colour."""
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [None],
            "y": [None],
            "name": WORDS[variant],
            "marker": _mark(variant, palette.ink),
        }
        for variant in VARIANTS
    ]


def draw_differences(rows: Sequence[tuple[str, str, Difference]], palette: Palette) -> Figure:
    """Draw differences of accuracy, in points, with their intervals: a row each, under the name of
    its family and what is compared.
    """
    names = [f"{literal(family)}<br>{literal(what)}" for family, what, _ in rows]
    values = [100 * difference.mean for *_, difference in rows]
    bars = {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": names,
        "marker": {
            "size": 11,
            "symbol": ["diamond" if difference.sign else "diamond-open" for *_, difference in rows],
            "color": palette.series[0],
            "line": {"width": 2, "color": palette.series[0]},
        },
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [100 * (difference.high - difference.mean) for *_, difference in rows],
            "arrayminus": [100 * (difference.mean - difference.low) for *_, difference in rows],
            "color": palette.series[0],
            "thickness": 2,
            "width": 5,
        },
        "customdata": [
            [100 * difference.low, 100 * difference.high, difference.seeds]
            for *_, difference in rows
        ],
        "hovertemplate": "<b>%{x:+.2f} points</b><br>95 %: %{customdata[0]:+.2f} to "
        "%{customdata[1]:+.2f}<br>pairs of runs: %{customdata[2]}<extra></extra>",
    }
    reach = max((abs(100 * edge) for *_, row in rows for edge in (row.low, row.high)), default=1.0)
    layout = {
        **LAYOUT,
        "height": 60 + 52 * len(rows),
        "xaxis": {
            "title": "points of top-1 accuracy",
            "range": [-1.1 * reach, 1.1 * reach],
            "zeroline": False,
        },
        "yaxis": {"autorange": "reversed", "showgrid": False, "type": "category"},
        "shapes": [rule(palette, x=0)],
    }
    return make_figure([bars], layout, palette)


CURVES = {
    "over_images": "spread of a gate between images",
    "mean": "mean gate",
    "near_high": "share of gates from 0.95 on",
    "near_low": "share of gates up to 0.05",
    "near_middle": "share of gates within 0.05 of 0.5",
}
"""Columns of `GateStatistics` that are drawn over the steps, and what they are called."""


def draw_training_gates(
    table: pd.DataFrame, value: str, palette: Palette, *, epoch: float | None = None
) -> Figure:
    """Draw a column of ``CURVES`` over the steps of a run, a line a block, coloured by stage.

    ``epoch`` is the number of steps in one; without it the axis counts steps.
    """
    stages = sorted({*table["stage"]})
    colours = dict(zip(stages, _shades(len(stages), palette), strict=True))
    unit = epoch or 1
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": rows["step"] / unit,
            "y": rows[value],
            "name": name_stage(stage),
            "legendgroup": str(stage),
            "showlegend": not place,
            "line": {"color": colours[stage], "width": 2},
            "hovertemplate": f"<b>{literal(block)}</b><br>{'epoch' if epoch else 'step'} "
            "%{x:.3~g}<br>%{y:.3f}<extra></extra>",
        }
        for stage in stages
        for place, block in enumerate(table.loc[table["stage"] == stage, "block"].unique())
        for rows in [table.loc[table["block"] == block]]
    ]
    shares = value.startswith("near") or value == "mean"
    layout = {
        **LAYOUT,
        "height": 380,
        "showlegend": True,
        "legend": LEGEND,
        "xaxis": {"title": "epoch" if epoch else "step", "zeroline": False},
        "yaxis": {
            "title": CURVES[value],
            "zeroline": False,
            **({"range": [-0.02, 1.02]} if shares else {"rangemode": "tozero"}),
        },
    }
    return make_figure(data, layout, palette)


def _shades(count: int, palette: Palette) -> list[str]:
    """Return colours from the palette's low to its high end, the pale middle left out."""
    places = [place / max(1, count - 1) for place in range(count)]
    scale = [[place, f"rgb{hex_to_rgb(colour)}"] for place, colour in palette.diverging]
    samples = [0.7 * place if place < 0.5 else 0.3 + 0.7 * place for place in places]
    return [str(colour) for colour in sample_colorscale(scale, samples)]
