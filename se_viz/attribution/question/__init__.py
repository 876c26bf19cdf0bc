"""What a method is asked, whether it can be, and what it leaves behind."""

from se_viz.attribution.question.baselines import BASELINES, find_baseline, make_baseline, scatter
from se_viz.attribution.question.colours import collapse, enlarge_cells
from se_viz.attribution.question.files import map_bytes, npz_bytes, settings_of
from se_viz.attribution.question.limits import (
    check_inputs,
    check_question,
    check_settings,
    check_steps,
)
from se_viz.attribution.question.places import (
    WHERE,
    Layer,
    choose_end,
    find_spot,
    say_no_stage,
    stage_ends,
)
from se_viz.attribution.question.records import Attribution, LayerAttribution, NeuronAttribution
from se_viz.attribution.question.refusals import (
    RefusedError,
    in_words,
    network_dtype,
    run_with_options,
)
from se_viz.attribution.question.targets import Target, TargetModel, aim

__all__ = [
    "BASELINES",
    "WHERE",
    "Attribution",
    "Layer",
    "LayerAttribution",
    "NeuronAttribution",
    "RefusedError",
    "Target",
    "TargetModel",
    "aim",
    "check_inputs",
    "check_question",
    "check_settings",
    "check_steps",
    "choose_end",
    "collapse",
    "enlarge_cells",
    "find_baseline",
    "find_spot",
    "in_words",
    "make_baseline",
    "map_bytes",
    "network_dtype",
    "npz_bytes",
    "run_with_options",
    "say_no_stage",
    "scatter",
    "settings_of",
    "stage_ends",
]
