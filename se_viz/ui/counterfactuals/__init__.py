"""The parts of the page *Does it matter?*."""

from se_viz.ui.counterfactuals.effects import show_effects
from se_viz.ui.counterfactuals.replacements import choose_counterfactual, show_counterfactuals

__all__ = [
    "choose_counterfactual",
    "show_counterfactuals",
    "show_effects",
]
