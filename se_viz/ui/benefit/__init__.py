"""The parts of the page *What SE buys*."""

from se_viz.ui.benefit.measured import show_costs, show_differences, show_summary
from se_viz.ui.benefit.paper import show_paper
from se_viz.ui.benefit.training import show_training

__all__ = ["show_costs", "show_differences", "show_paper", "show_summary", "show_training"]
