"""The way from a baseline to an image: how a logit rises, through the gates and past them."""

from se_viz.attribution.paths.flows import TOLERANCE, Flow, Trace
from se_viz.attribution.paths.trace import trace_paths

__all__ = ["TOLERANCE", "Flow", "Trace", "trace_paths"]
