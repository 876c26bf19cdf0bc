"""Find SE blocks in a model, capture and edit what they compute, summarise it."""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.gates.capture import capture_gates
    from se_viz.gates.edits import edit_gates
    from se_viz.gates.excitation import Excitation, open_gate
    from se_viz.gates.health import BlockHealth, Limits, check_health
    from se_viz.gates.inspection import find_gates, inspect_gates
    from se_viz.gates.jacobian import gate_jacobian
    from se_viz.gates.records import GateRecord, GateSite, Inspection
    from se_viz.gates.spellings import OTHERS, SPELLINGS, Spelling

__all__ = [
    "OTHERS",
    "SPELLINGS",
    "BlockHealth",
    "Excitation",
    "GateRecord",
    "GateSite",
    "Inspection",
    "Limits",
    "Spelling",
    "capture_gates",
    "check_health",
    "edit_gates",
    "find_gates",
    "gate_jacobian",
    "inspect_gates",
    "open_gate",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "capture": ("capture_gates",),
        "edits": ("edit_gates",),
        "excitation": (
            "Excitation",
            "open_gate",
        ),
        "health": (
            "BlockHealth",
            "Limits",
            "check_health",
        ),
        "inspection": (
            "find_gates",
            "inspect_gates",
        ),
        "jacobian": ("gate_jacobian",),
        "records": (
            "GateRecord",
            "GateSite",
            "Inspection",
        ),
        "spellings": (
            "OTHERS",
            "SPELLINGS",
            "Spelling",
        ),
    },
)
