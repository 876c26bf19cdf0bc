"""Gates of the trained networks over the steps of their training."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from se_viz.charts import CURVES, draw_training_gates
from se_viz.experiments import TrainedRun, read_gates
from se_viz.ui.session import keys
from se_viz.ui.widgets import choose_option, current_palette, show_figure

_CURVES = {
    "over_images": "Spread between images",
    "mean": "Mean",
    "near_high": "Near 1",
    "near_low": "Near 0",
    "near_middle": "Near 0.5",
}


def show_training(runs: Sequence[TrainedRun], folder: Path) -> None:
    """Show one number of every block's gates over the epochs of one run."""
    known = {run.name: run for run in runs if run.variant == "se"}
    if not known:
        st.caption("No network with SE blocks has been trained yet.")
        return
    left, middle, right = st.columns([3, 1, 4])
    with left:
        family = choose_option(
            "Network", {run.family: run.title for run in known.values()}, key=keys.BENEFIT_FAMILY
        )
    with middle:
        seeds = {str(run.seed): run for run in known.values() if run.family == family}
        run = seeds[
            choose_option(
                "Seed", {seed: seed for seed in seeds}, key=f"{keys.BENEFIT_SEED}-{family}"
            )
        ]
    with right:
        value = choose_option("Gates", _CURVES, key=keys.BENEFIT_CURVE)
    table = read_gates(folder, run.name)
    if table.empty:
        st.caption("The gates of this run were not written down.")
        return
    show_figure(
        draw_training_gates(table, value, current_palette(), epoch=run.steps / len(run.curve)),
        keys.BENEFIT_GATES,
        alt=f"{CURVES[value]} over the epochs of a training run",
    )
    st.caption(
        "A line a block. Gates part where the spread between images grows; near 1 they let "
        "everything pass, and near 0 nothing.",
        help="Written by `GateMonitor` every hundredth step, of the 64 images of that step. The "
        "spread is the standard deviation of one channel's gate over images, as the root mean "
        "square over channels.",
    )
