"""What each command of `python -m se_viz` does; a function has the name of its command."""

from se_viz.commands.images import gates, health
from se_viz.commands.methods import methods
from se_viz.commands.questions import counterfactuals
from se_viz.commands.scores import score
from se_viz.commands.training import evaluate, train
from se_viz.commands.zoo import cache, download, info, networks

__all__ = [
    "cache",
    "counterfactuals",
    "download",
    "evaluate",
    "gates",
    "health",
    "info",
    "methods",
    "networks",
    "score",
    "train",
]
