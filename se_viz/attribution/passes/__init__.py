"""How passes run: in slices, on copies, with rules of their own.

The only Captum import but for its subclasses.
"""

from se_viz.attribution.passes.algorithms import load_captum
from se_viz.attribution.passes.copies import (
    copy_modules,
    copy_unrolled,
    rewind,
    run_apart,
    say_shared,
)
from se_viz.attribution.passes.deep_lift_rules import Differences
from se_viz.attribution.passes.folded import swift_copy
from se_viz.attribution.passes.guided import guide
from se_viz.attribution.passes.masked_batches import answer_pictures
from se_viz.attribution.passes.models import lend_model
from se_viz.attribution.passes.rules import Facts, check_relus, refuse_plain, trace_rules
from se_viz.attribution.passes.shared import Replay, view_spots
from se_viz.attribution.passes.slices import MOST_ON_CPU, Slices, cap_piece, count_up

__all__ = [
    "MOST_ON_CPU",
    "Differences",
    "Facts",
    "Replay",
    "Slices",
    "answer_pictures",
    "cap_piece",
    "check_relus",
    "copy_modules",
    "copy_unrolled",
    "count_up",
    "guide",
    "lend_model",
    "load_captum",
    "refuse_plain",
    "rewind",
    "run_apart",
    "say_shared",
    "swift_copy",
    "trace_rules",
    "view_spots",
]
