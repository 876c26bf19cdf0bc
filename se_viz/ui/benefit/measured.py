"""What was measured: accuracy against cost, and the differences of twins."""

from collections.abc import Mapping, Sequence

import streamlit as st

from se_viz.charts import COSTS, draw_costs, draw_differences
from se_viz.experiments import (
    Difference,
    TrainedRun,
    Variant,
    compare_variants,
    tabulate_runs,
)
from se_viz.ui.session import keys
from se_viz.ui.widgets import choose_option, current_palette, show_figure

_PLANNED = 36
_VERDICTS = {1: "show the paper's gain", 0: "do not show it", -1: "show a loss"}
_COSTS = {"parameters": "Parameters", "flops": "FLOPs", "milliseconds": "Time"}
_ASKED: tuple[tuple[Variant, Variant, str], ...] = (
    ("se", "plain", "with SE, against without"),
    ("se", "wide", "with SE, against widened"),
)


def families_of(runs: Sequence[TrainedRun]) -> dict[str, str]:
    """Return the families that have runs, with what they are called in sentences."""
    return {run.family: run.title for run in runs}


def show_summary(runs: Sequence[TrainedRun]) -> None:
    """Say in one sentence what the twins show, and in a caption of what."""
    st.markdown(f"**{summarise(runs)}**")
    seeds = len({run.seed for run in runs})
    left = (
        ""
        if len(runs) == _PLANNED
        else f" {len(runs)} of {_PLANNED} runs have ended: the others are being trained."
    )
    st.caption(
        f"Small networks trained here on Imagenette's ten classes, ten epochs of 128 pixels, "
        f"{seeds} seed{'s' * (seeds != 1)} each.{left}",
        help="`se_viz train --all`: one recipe for all, so that what differs between two networks "
        "is the network. Accuracy is that after the last epoch, on 3,925 validation images.",
    )


def summarise(runs: Sequence[TrainedRun]) -> str:
    """Return what the differences of twins come to, in words."""
    said: Mapping[int, list[str]] = {1: [], 0: [], -1: []}
    for family, title in families_of(runs).items():
        if difference := compare_variants(runs, family, "se", "plain"):
            said[difference.sign].append(f"{title} ({_show(difference)})")
    if not any(said.values()):
        return "No pair of networks has been trained yet."
    parts = [f"{words} for {_join(said[sign])}" for sign, words in _VERDICTS.items() if said[sign]]
    if not said[1]:
        parts[0] = parts[0].replace("show it", "show the paper's gain")
    return f"Our runs {_join(parts)}."


def _show(difference: Difference) -> str:
    return (
        f"{100 * difference.mean:+.1f} points, 95 % interval {100 * difference.low:+.1f} to "
        f"{100 * difference.high:+.1f}"
    )


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def show_costs(runs: Sequence[TrainedRun], times: Mapping[str, float]) -> None:
    """Show accuracy against parameters, FLOPs or time."""
    if not runs:
        st.caption("No network has been trained yet: `se_viz train --all` does it.")
        return
    offered = {key: name for key, name in _COSTS.items() if times or key != "milliseconds"}
    cost = choose_option("Against", offered, key=keys.BENEFIT_COST)
    figure = draw_costs(tabulate_runs(runs, times), cost, families_of(runs), current_palette())
    show_figure(figure, keys.BENEFIT_COSTS, alt=f"Accuracy of each run against {COSTS[cost][0]}")
    st.caption(
        "Every point is one run; a line leads from a network without SE blocks to its twin with "
        "them. A square has no blocks, and is as much wider as the blocks have parameters.",
        help="FLOPs count a product and a sum as two, by PyTorch's counter. Time is the median "
        "for one image on one CPU core, by `python -m benchmarks.trials`.",
    )


def show_differences(runs: Sequence[TrainedRun]) -> None:
    """Show how far twins differ, and networks with SE from those that are one size up."""
    rows = [
        (title, words, difference)
        for family, title in families_of(runs).items()
        for one, other, words in _ASKED
        if (difference := compare_variants(runs, family, one, other))
    ]
    if not rows:
        st.caption("No pair of networks has been trained yet.")
        return
    show_figure(
        draw_differences(rows, current_palette()),
        keys.BENEFIT_DIFFERENCES,
        alt="Differences of accuracy between twins with their 95 % intervals",
    )
    st.caption(
        "Right of the dotted line the network with SE is right more often. A bar that crosses the "
        "line leaves it open; *widened* asks whether plain width would have bought the same.",
        help="Answers to one image by runs of one seed are paired. The variance of the mean is "
        "that of the seeds' means plus that of the images' means, and the quantile is Student's "
        "with Satterthwaite's degrees of freedom; with one seed the bar counts images alone.",
    )
