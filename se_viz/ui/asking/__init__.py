"""How a page asks the engine: its choices, a cache for each kind of question, a text or a bar
meanwhile.
"""

from se_viz.ui.asking.analysis import get_analysis
from se_viz.ui.asking.bar import describe_load, part_of, progress
from se_viz.ui.asking.choices import Choices, choose, replace_image
from se_viz.ui.asking.engine import get_engine, get_view
from se_viz.ui.asking.parts import attempt, page_part
from se_viz.ui.asking.questions import answer, answer_case, ask, ask_with_bar, case_of

__all__ = [
    "Choices",
    "answer",
    "answer_case",
    "ask",
    "ask_with_bar",
    "attempt",
    "case_of",
    "choose",
    "describe_load",
    "get_analysis",
    "get_engine",
    "get_view",
    "page_part",
    "part_of",
    "progress",
    "replace_image",
]
