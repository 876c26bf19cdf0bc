"""The view *Stage by stage*: one method at every stage, and on both sides of a gate."""

from se_viz.ui.by_stage.view import show_stages

__all__ = [
    "show_stages",
]
