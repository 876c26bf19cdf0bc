"""Attribution to and of gates: what they did to an answer, and which pixels opened one."""

from se_viz.attribution.gates.erasure import (
    FILLS,
    LEAST,
    REPEATS,
    Erasure,
    check_region,
    mark_strongest,
)
from se_viz.attribution.gates.neurons import attribute_neuron
from se_viz.attribution.gates.run import GateAttribution, attribute_gates

__all__ = [
    "FILLS",
    "LEAST",
    "REPEATS",
    "Erasure",
    "GateAttribution",
    "attribute_gates",
    "attribute_neuron",
    "check_region",
    "mark_strongest",
]
