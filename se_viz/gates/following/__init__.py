"""A pass that is followed tensor by tensor: gates are found by what is done, and read there.

Why: docs/decisions/045-gates-by-what-they-do.md
"""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.gates.following.discovery import Product, conclude, explain, is_inside
    from se_viz.gates.following.findings import (
        Findings,
        keep_findings,
        lend_findings,
        recall_findings,
    )
    from se_viz.gates.following.flow import Multiplication
    from se_viz.gates.following.follower import Follower
    from se_viz.gates.following.intervals import NAMES
    from se_viz.gates.following.marks import Frame, Mark, Origin
    from se_viz.gates.following.steps import Step

__all__ = [
    "NAMES",
    "Findings",
    "Follower",
    "Frame",
    "Mark",
    "Multiplication",
    "Origin",
    "Product",
    "Step",
    "conclude",
    "explain",
    "is_inside",
    "keep_findings",
    "lend_findings",
    "recall_findings",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "discovery": (
            "Product",
            "conclude",
            "explain",
            "is_inside",
        ),
        "findings": (
            "Findings",
            "keep_findings",
            "lend_findings",
            "recall_findings",
        ),
        "flow": ("Multiplication",),
        "follower": ("Follower",),
        "intervals": ("NAMES",),
        "marks": (
            "Frame",
            "Mark",
            "Origin",
        ),
        "steps": ("Step",),
    },
)
