"""Options that count for nothing beside the others, told before anything is done."""

import argparse

from se_viz.commands.arguments.networks import check_network
from se_viz.errors import OptionError
from se_viz.train.options import check_recipe


def refuse_idle(arguments: argparse.Namespace) -> None:
    """Refuse options that count for nothing beside the others.

    Raises:
        OptionError: one does.
    """
    options = set(arguments.option_names)
    if getattr(arguments, "multi_label", False):
        options.add("multi-label")
    if "weights" in arguments:
        check_network(arguments, options)
    if arguments.command == "methods":
        _check_methods(options)
    if arguments.command == "counterfactuals":
        _check_counterfactuals(arguments, options)
    if arguments.command == "train":
        check_recipe(arguments)


def _check_methods(options: set[str]) -> None:
    if {"network", "weights"} & options:
        return
    for option in sorted({"device", "checkpoints", "config"} & options):
        raise OptionError(
            f"--{option} has no effect here: without a network methods are listed, not judged. "
            f"Add --network NAME or --weights FILE, or leave --{option} out."
        )


def _check_counterfactuals(arguments: argparse.Namespace, options: set[str]) -> None:
    kinds = f"--kinds {' '.join(arguments.kinds)}"
    if "shuffle" not in arguments.kinds:
        for option in sorted({"repeats", "seed"} & options):
            raise OptionError(
                f"--{option} applies to shuffles alone, and {kinds} has none. Add shuffle to "
                f"--kinds, or leave --{option} out."
            )
    if "lenders" in options and not {"mean", "other"} & {*arguments.kinds}:
        raise OptionError(
            f"--lenders applies to the gates of other images, and {kinds} has none. Add other or "
            "mean to --kinds, or leave --lenders out."
        )
