"""The parts of the page *Networks*."""

from se_viz.ui.networks.own import show_kept, show_own
from se_viz.ui.networks.view import choose_card, show_blocks, show_cache, show_details

__all__ = [
    "choose_card",
    "show_blocks",
    "show_cache",
    "show_details",
    "show_kept",
    "show_own",
]
