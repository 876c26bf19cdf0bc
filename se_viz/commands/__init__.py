"""What each command of `python -m se_viz` does; a function has the name of its command."""

from argparse import Namespace
from collections.abc import Callable
from importlib import import_module

from se_viz.commands.arguments import parse

__all__ = ["HOMES", "find_command", "parse"]

HOMES = {
    "app": "app",
    "cache": "zoo",
    "counterfactuals": "questions",
    "download": "zoo",
    "evaluate": "training",
    "gates": "images",
    "health": "images",
    "info": "zoo",
    "methods": "methods",
    "networks": "zoo",
    "score": "scores",
    "train": "training",
}
"""Command -> the module here that holds its function."""


def find_command(name: str) -> Callable[[Namespace], int]:
    """Import and return the function of a command.

    Most bring PyTorch, which `app` does not wait for.
    """
    return getattr(import_module(f"se_viz.commands.{HOMES[name]}"), name)
