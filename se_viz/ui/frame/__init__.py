"""What stands around every page: the way in, the sidebar, the welcome, the footer.

Names are imported on first use: not all of them may cost the start of PyTorch.
"""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.ui.frame.address import live_part, show_address
    from se_viz.ui.frame.brought import bring, give_up, is_mine, is_private, is_shown
    from se_viz.ui.frame.choices import require_choices, require_network
    from se_viz.ui.frame.entry import enter
    from se_viz.ui.frame.footer import show_footer
    from se_viz.ui.frame.heading import show_heading
    from se_viz.ui.frame.network_choice import describe_card, load_ahead, show_network_choice
    from se_viz.ui.frame.sidebar import show_image_choice, show_link_problems, show_problem
    from se_viz.ui.frame.welcome import show_welcome

__all__ = [
    "bring",
    "describe_card",
    "enter",
    "give_up",
    "is_mine",
    "is_private",
    "is_shown",
    "live_part",
    "load_ahead",
    "require_choices",
    "require_network",
    "show_address",
    "show_footer",
    "show_heading",
    "show_image_choice",
    "show_link_problems",
    "show_network_choice",
    "show_problem",
    "show_welcome",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "address": ("live_part", "show_address"),
        "brought": (
            "bring",
            "give_up",
            "is_mine",
            "is_private",
            "is_shown",
        ),
        "choices": ("require_choices", "require_network"),
        "entry": ("enter",),
        "footer": ("show_footer",),
        "heading": ("show_heading",),
        "network_choice": (
            "describe_card",
            "load_ahead",
            "show_network_choice",
        ),
        "sidebar": (
            "show_image_choice",
            "show_link_problems",
            "show_problem",
        ),
        "welcome": ("show_welcome",),
    },
)
