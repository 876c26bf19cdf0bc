"""The parts of the page *How to read it*."""

from se_viz.ui.guide.view import (
    name_ratio,
    scroll_to_passage,
    show_pictured,
    show_steps,
    show_words,
)
from se_viz.ui.guide.words import BLOCK, INTRODUCTION, LIMITS, MORE, PICTURED, STAGES

__all__ = [
    "BLOCK",
    "INTRODUCTION",
    "LIMITS",
    "MORE",
    "PICTURED",
    "STAGES",
    "name_ratio",
    "scroll_to_passage",
    "show_pictured",
    "show_steps",
    "show_words",
]
