"""What each command of `python -m se_viz` does; a function has the name of its command."""

from argparse import Namespace
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from se_viz.commands.arguments import parse
from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.commands.checks import check

__all__ = ["HOMES", "check", "find_command", "parse"]

HOMES = {
    "app": "app",
    "attribute": "maps",
    "cache": "zoo",
    "counterfactuals": "questions",
    "download": "zoo",
    "evaluate": "training",
    "gates": "images",
    "health": "images",
    "info": "zoo",
    "methods": "methods",
    "networks": "zoo",
    "replay": "replays",
    "score": "scores",
    "train": "training",
}
"""Command -> the module here that holds its function."""


def find_command(name: str) -> Callable[[Namespace], int]:
    """Import and return the function of a command.

    Most bring PyTorch, which `app` does not wait for.
    """
    return getattr(import_module(f"se_viz.commands.{HOMES[name]}"), name)


__getattr__ = import_on_first_use(__name__, {"checks": ("check",)})
