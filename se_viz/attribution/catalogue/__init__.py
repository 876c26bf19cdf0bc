"""Rows of data only: every attribution method, what it promises and what it costs."""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.attribution.catalogue.cost import Pace, measure_pace
    from se_viz.attribution.catalogue.gates import GATE_METHODS, GATE_ROWS, NO_GRAD_CAM, GateMethod
    from se_viz.attribution.catalogue.layers import LAYER_METHODS, LayerMethod
    from se_viz.attribution.catalogue.method import KINDS, NEEDS, Method, Passes, fit_windows
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
    "find_method",
    "find_neuron_method",
    "fit_windows",
    "measure_pace",
    "say_of_gate",
    "tabulate_methods",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "cost": (
            "Pace",
            "measure_pace",
        ),
        "gates": (
            "GATE_METHODS",
            "GATE_ROWS",
            "NO_GRAD_CAM",
            "GateMethod",
        ),
        "layers": (
            "LAYER_METHODS",
            "LayerMethod",
        ),
        "method": (
            "KINDS",
            "NEEDS",
            "Method",
            "Passes",
            "fit_windows",
        ),
        "neurons": (
            "CONDUCTANCE",
            "NEURON_METHODS",
            "NEURON_REFUSED",
            "find_neuron_method",
            "say_of_gate",
        ),
        "perturbing": ("TOGETHER",),
        "pixels": (
            "COMMON",
            "METHODS",
            "REFUSED",
            "find_method",
        ),
        "table": (
            "EXPLAINED",
            "tabulate_methods",
        ),
    },
)
