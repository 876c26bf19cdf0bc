"""See what squeeze-and-excitation gates do to an image.

Names are imported when they are first used, so that `import se_viz` needs neither Captum nor PyTorch yet.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from se_viz.attribution.flows import Flow, Trace
    from se_viz.attribution.gates import GateAttribution, attribute_gates
    from se_viz.attribution.paths import trace_paths
    from se_viz.attribution.records import Attribution
    from se_viz.attribution.run import attribute
    from se_viz.gates import (
        BlockHealth,
        Excitation,
        GateRecord,
        GateSite,
        Inspection,
        Limits,
        capture_gates,
        check_health,
        edit_gates,
        find_gates,
        gate_jacobian,
        inspect_gates,
        open_gate,
    )
    from se_viz.gates.surgery import GateEdit, compile_edits, level_gates, scale_gates, set_gates
    from se_viz.images import open_image
    from se_viz.networks import Network, NetworkCard, list_networks, load_network

__version__ = "0.1.0"
__all__ = [
    "Attribution",
    "BlockHealth",
    "Excitation",
    "Flow",
    "GateAttribution",
    "GateEdit",
    "GateRecord",
    "GateSite",
    "Inspection",
    "Limits",
    "Network",
    "NetworkCard",
    "Trace",
    "attribute",
    "attribute_gates",
    "capture_gates",
    "check_health",
    "compile_edits",
    "edit_gates",
    "find_gates",
    "gate_jacobian",
    "inspect_gates",
    "level_gates",
    "list_networks",
    "load_network",
    "open_gate",
    "open_image",
    "scale_gates",
    "set_gates",
    "trace_paths",
]

_HOMES = {
    "Attribution": "attribution.records",
    "attribute": "attribution.run",
    "Flow": "attribution.flows",
    "Trace": "attribution.flows",
    "GateAttribution": "attribution.gates",
    "attribute_gates": "attribution.gates",
    "trace_paths": "attribution.paths",
    "Excitation": "gates",
    "BlockHealth": "gates",
    "GateRecord": "gates",
    "GateSite": "gates",
    "Inspection": "gates",
    "Limits": "gates",
    "capture_gates": "gates",
    "check_health": "gates",
    "edit_gates": "gates",
    "find_gates": "gates",
    "gate_jacobian": "gates",
    "inspect_gates": "gates",
    "open_gate": "gates",
    "GateEdit": "gates.surgery",
    "compile_edits": "gates.surgery",
    "level_gates": "gates.surgery",
    "scale_gates": "gates.surgery",
    "set_gates": "gates.surgery",
    "open_image": "images",
    "Network": "networks",
    "NetworkCard": "networks",
    "list_networks": "networks",
    "load_network": "networks",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'se_viz' has no attribute {name!r}")
    return getattr(import_module(f"se_viz.{_HOMES[name]}"), name)
