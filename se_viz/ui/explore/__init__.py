"""The parts of the page *Explore*."""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.ui.explore.answer import show_answer
    from se_viz.ui.explore.bundles import show_bundles
    from se_viz.ui.explore.comparison import show_comparison
    from se_viz.ui.explore.first_look import show_first_look
    from se_viz.ui.explore.health import show_health
    from se_viz.ui.explore.view import (
        show_attribution,
        show_block,
        show_downloads,
        show_gates,
        show_numbers,
    )

__all__ = [
    "show_answer",
    "show_attribution",
    "show_block",
    "show_bundles",
    "show_comparison",
    "show_downloads",
    "show_first_look",
    "show_gates",
    "show_health",
    "show_numbers",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "answer": ("show_answer",),
        "bundles": ("show_bundles",),
        "comparison": ("show_comparison",),
        "first_look": ("show_first_look",),
        "health": ("show_health",),
        "view": (
            "show_attribution",
            "show_block",
            "show_downloads",
            "show_gates",
            "show_numbers",
        ),
    },
)
