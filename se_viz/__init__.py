"""See what squeeze-and-excitation gates do to an image.

Names are imported when they are first used, so that `import se_viz` needs neither Captum nor
PyTorch yet.
"""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.attribution.gates import GateAttribution, attribute_gates
    from se_viz.attribution.paths import Flow, Trace, trace_paths
    from se_viz.attribution.pixels import attribute
    from se_viz.attribution.question import Attribution
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
    from se_viz.insertion import insert_se
    from se_viz.monitor import GateMonitor, GateStatistics
    from se_viz.networks import Network, NetworkCard, list_networks, load_network
    from se_viz.notebooks import Shown, show

__version__ = "0.2.0"
__all__ = [
    "Attribution",
    "BlockHealth",
    "Excitation",
    "Flow",
    "GateAttribution",
    "GateEdit",
    "GateMonitor",
    "GateRecord",
    "GateSite",
    "GateStatistics",
    "Inspection",
    "Limits",
    "Network",
    "NetworkCard",
    "Shown",
    "Trace",
    "attribute",
    "attribute_gates",
    "capture_gates",
    "check_health",
    "compile_edits",
    "edit_gates",
    "find_gates",
    "gate_jacobian",
    "insert_se",
    "inspect_gates",
    "level_gates",
    "list_networks",
    "load_network",
    "open_gate",
    "open_image",
    "scale_gates",
    "set_gates",
    "show",
    "trace_paths",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "attribution.gates": ("GateAttribution", "attribute_gates"),
        "attribution.paths": ("Flow", "Trace", "trace_paths"),
        "attribution.pixels": ("attribute",),
        "attribution.question": ("Attribution",),
        "gates": (
            "BlockHealth",
            "Excitation",
            "GateRecord",
            "GateSite",
            "Inspection",
            "Limits",
            "capture_gates",
            "check_health",
            "edit_gates",
            "find_gates",
            "gate_jacobian",
            "inspect_gates",
            "open_gate",
        ),
        "gates.surgery": ("GateEdit", "compile_edits", "level_gates", "scale_gates", "set_gates"),
        "images": ("open_image",),
        "insertion": ("insert_se",),
        "monitor": ("GateMonitor", "GateStatistics"),
        "networks": ("Network", "NetworkCard", "list_networks", "load_network"),
        "notebooks": ("Shown", "show"),
    },
)
