"""The view *Through the gates*: how much of a logit's rise came through SE blocks."""

from se_viz.ui.through_gates.view import show_paths

__all__ = [
    "show_paths",
]
