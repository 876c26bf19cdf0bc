"""The parts of the page *Change the gates*."""

from se_viz.ui.surgery.view import show_surgery

__all__ = [
    "show_surgery",
]
