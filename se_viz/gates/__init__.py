"""Find SE blocks in a model, capture what they compute, summarise it."""

from se_viz.gates.capture import capture_gates, find_gates
from se_viz.gates.records import GateRecord, GateSite
from se_viz.gates.spellings import SPELLINGS, Spelling

__all__ = ["SPELLINGS", "GateRecord", "GateSite", "Spelling", "capture_gates", "find_gates"]
