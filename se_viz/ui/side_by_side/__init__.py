"""The view *Side by side*: any set of methods, their scores and controls."""

from se_viz.ui.side_by_side.view import show_attributions

__all__ = [
    "show_attributions",
]
