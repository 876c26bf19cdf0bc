"""The parts of the page *Open a gate*."""

from se_viz.ui.microscope.evidence import show_evidence
from se_viz.ui.microscope.influence import show_influence
from se_viz.ui.microscope.steps import describe_channel, show_steps

__all__ = [
    "describe_channel",
    "show_evidence",
    "show_influence",
    "show_steps",
]
