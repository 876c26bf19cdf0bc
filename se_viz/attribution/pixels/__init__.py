"""Attribution of an answer to the pixels of one image."""

from se_viz.attribution.pixels.agreement import STRONGEST, Agreement, compare_maps
from se_viz.attribution.pixels.calls import Task, prepare
from se_viz.attribution.pixels.fitness import Fitness, judge_method
from se_viz.attribution.pixels.repeats import correlate
from se_viz.attribution.pixels.rerun import attribute_again, nth_of
from se_viz.attribution.pixels.run import (
    ROUNDING,
    Explanation,
    attribute,
    check_numbers,
    check_shares,
    explain,
)

__all__ = [
    "ROUNDING",
    "STRONGEST",
    "Agreement",
    "Explanation",
    "Fitness",
    "Task",
    "attribute",
    "attribute_again",
    "check_numbers",
    "check_shares",
    "compare_maps",
    "correlate",
    "explain",
    "judge_method",
    "nth_of",
    "prepare",
]
