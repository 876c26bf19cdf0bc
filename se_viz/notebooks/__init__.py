"""What a notebook shows: a network and a photo by one call, and what attributions leave behind."""

from se_viz.notebooks.shown import Shown, show
from se_viz.notebooks.values import draw

__all__ = ["Shown", "draw", "show"]
