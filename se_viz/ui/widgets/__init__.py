"""Widgets and figures that several pages share."""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.ui.widgets.answers import describe_answers
    from se_viz.ui.widgets.figures import offer_html, show_figure, show_panel
    from se_viz.ui.widgets.gallery import get_gallery, get_lenders, list_fitting
    from se_viz.ui.widgets.links import link_attributions, link_block, link_channel, show_rows
    from se_viz.ui.widgets.methods import (
        Request,
        announce,
        choose_methods,
        count_passes,
        get_attribution,
        get_pace,
        reseed,
        say_about,
        say_seconds,
        tick_of,
    )
    from se_viz.ui.widgets.pairs import show_pair
    from se_viz.ui.widgets.pickers import (
        block_kept_open,
        choose_block,
        choose_channel,
        choose_class,
        choose_option,
        open_block_of,
        open_channel_of,
    )
    from se_viz.ui.widgets.targets import choose_target, name_target
    from se_viz.ui.widgets.theme import current_palette

__all__ = [
    "Request",
    "announce",
    "block_kept_open",
    "choose_block",
    "choose_channel",
    "choose_class",
    "choose_methods",
    "choose_option",
    "choose_target",
    "count_passes",
    "current_palette",
    "describe_answers",
    "get_attribution",
    "get_gallery",
    "get_lenders",
    "get_pace",
    "link_attributions",
    "link_block",
    "link_channel",
    "list_fitting",
    "name_target",
    "offer_html",
    "open_block_of",
    "open_channel_of",
    "reseed",
    "say_about",
    "say_seconds",
    "show_figure",
    "show_pair",
    "show_panel",
    "show_rows",
    "tick_of",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "answers": ("describe_answers",),
        "figures": (
            "offer_html",
            "show_figure",
            "show_panel",
        ),
        "gallery": (
            "get_gallery",
            "get_lenders",
            "list_fitting",
        ),
        "links": (
            "link_attributions",
            "link_block",
            "link_channel",
            "show_rows",
        ),
        "methods": (
            "Request",
            "announce",
            "choose_methods",
            "count_passes",
            "get_attribution",
            "get_pace",
            "reseed",
            "say_about",
            "say_seconds",
            "tick_of",
        ),
        "pairs": ("show_pair",),
        "pickers": (
            "block_kept_open",
            "choose_block",
            "choose_channel",
            "choose_class",
            "choose_option",
            "open_block_of",
            "open_channel_of",
        ),
        "targets": (
            "choose_target",
            "name_target",
        ),
        "theme": ("current_palette",),
    },
)
