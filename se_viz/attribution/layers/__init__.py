"""Attribution to feature maps: before and after the gates of a block, and at the end of a stage."""

from se_viz.attribution.layers.focus import enlarge, find_focus
from se_viz.attribution.layers.passes import LayerTask, TapRunner, run_in_memory
from se_viz.attribution.layers.recalibration import (
    APART,
    Recalibration,
    Side,
    compare_sides,
    sum_up,
)
from se_viz.attribution.layers.run import attribute_layer, attribute_layers, explain_refusal
from se_viz.attribution.layers.se_vector import (
    USUAL_Z,
    SEVector,
    make_se_vector,
    select_channels,
    weigh_by_class,
)

__all__ = [
    "APART",
    "USUAL_Z",
    "LayerTask",
    "Recalibration",
    "SEVector",
    "Side",
    "TapRunner",
    "attribute_layer",
    "attribute_layers",
    "compare_sides",
    "enlarge",
    "explain_refusal",
    "find_focus",
    "make_se_vector",
    "run_in_memory",
    "select_channels",
    "sum_up",
    "weigh_by_class",
]
