"""The parts of the page *Design a block*: the whole network, the choices, and what they come to."""

from se_viz.ui.bench.view import show_bench

__all__ = ["show_bench"]
