"""Rows of data only: every attribution method, what it promises and what it costs."""

from se_viz.attribution.catalogue.cost import Pace, measure_pace
from se_viz.attribution.catalogue.gates import GATE_METHODS, GATE_ROWS, NO_GRAD_CAM, GateMethod
from se_viz.attribution.catalogue.layers import LAYER_METHODS, LayerMethod
from se_viz.attribution.catalogue.method import KINDS, NEEDS, Method, Passes, collapse
from se_viz.attribution.catalogue.neurons import (
    CONDUCTANCE,
    NEURON_METHODS,
    NEURON_REFUSED,
    find_neuron_method,
    say_of_gate,
)
from se_viz.attribution.catalogue.perturbing import TOGETHER
from se_viz.attribution.catalogue.pixels import COMMON, METHODS, REFUSED, find_method
from se_viz.attribution.catalogue.table import EXPLAINED, tabulate_methods

__all__ = [
    "COMMON",
    "CONDUCTANCE",
    "EXPLAINED",
    "GATE_METHODS",
    "GATE_ROWS",
    "KINDS",
    "LAYER_METHODS",
    "METHODS",
    "NEEDS",
    "NEURON_METHODS",
    "NEURON_REFUSED",
    "NO_GRAD_CAM",
    "REFUSED",
    "TOGETHER",
    "GateMethod",
    "LayerMethod",
    "Method",
    "Pace",
    "Passes",
    "collapse",
    "find_method",
    "find_neuron_method",
    "measure_pace",
    "say_of_gate",
    "tabulate_methods",
]
