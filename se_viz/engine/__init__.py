"""Networks behind one seam: questions go in and answers come out, both small enough to travel to
another process.

Why: docs/decisions/031-pages-ask-an-engine.md
"""

from se_viz.engine import questions
from se_viz.engine.local import LocalEngine
from se_viz.engine.views import DETAIL, Cells, Gates, Input, Load, NetworkView, Seen, Sight

__all__ = [
    "DETAIL",
    "Cells",
    "Gates",
    "Input",
    "Load",
    "LocalEngine",
    "NetworkView",
    "Seen",
    "Sight",
    "questions",
]
