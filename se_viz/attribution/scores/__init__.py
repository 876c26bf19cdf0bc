"""Scores of maps beside control maps, and whether maps depend on what was learned."""

from se_viz.attribution.scores.controls import CONTROLS
from se_viz.attribution.scores.exams import Exam
from se_viz.attribution.scores.sanity import (
    NETWORKS,
    Peers,
    SanityStep,
    check_sanity,
    describe_steps,
    name_part,
    tabulate_steps,
)
from se_viz.attribution.scores.scores import (
    CHANCE,
    MapScore,
    Yardstick,
    count_passes,
    describe_scores,
    make_yardstick,
    score_map,
    tabulate_curves,
    tabulate_scores,
)
from se_viz.attribution.scores.sensitivity import SAMPLES, measure_sensitivity
from se_viz.attribution.scores.survey import (
    Survey,
    Surveyed,
    average_curves,
    count_better,
    summarise_scores,
    survey_scores,
)

__all__ = [
    "CHANCE",
    "CONTROLS",
    "NETWORKS",
    "SAMPLES",
    "Exam",
    "MapScore",
    "Peers",
    "SanityStep",
    "Survey",
    "Surveyed",
    "Yardstick",
    "average_curves",
    "check_sanity",
    "count_better",
    "count_passes",
    "describe_scores",
    "describe_steps",
    "make_yardstick",
    "measure_sensitivity",
    "name_part",
    "score_map",
    "summarise_scores",
    "survey_scores",
    "tabulate_curves",
    "tabulate_scores",
    "tabulate_steps",
]
