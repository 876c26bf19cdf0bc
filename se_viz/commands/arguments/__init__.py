"""The arguments of the command line, free of PyTorch: a module for each family of commands."""

from se_viz.commands.arguments.parser import parse

__all__ = ["parse"]
