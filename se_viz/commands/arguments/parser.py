"""The parser of every command, and reading their words."""

import argparse

from se_viz import __version__
from se_viz.commands.arguments import images, serving
from se_viz.commands.arguments.idle import refuse_idle
from se_viz.commands.arguments.networks import add_config, add_network, add_places
from se_viz.commands.arguments.words import Parser
from se_viz.train.options import add_options

_COMMANDS = {
    "app": ("start the app, and open it in a browser", serving.add_app),
    "gates": ("every gate of an SE network for one or more images", images.add_gates),
    "health": ("the health of gates over several images", images.add_health),
    "counterfactuals": ("the effect of replaced gates on the answer", images.add_counterfactuals),
    "score": ("scores of attribution maps beside control maps", images.add_score),
    "attribute": ("attribution maps of images: numbers and pictures", images.add_attribute),
    "replay": ("a replay bundle, run again and compared", images.add_replay),
    "methods": ("attribution methods: questions, cost and needs", images.add_methods),
    "networks": ("the networks that can be loaded", serving.add_networks),
    "download": ("fetch the weights of a network to the cache", serving.add_download),
    "cache": ("the folder of downloads and its size", serving.add_cache),
    "train": ("train an SE network from scratch", add_options),
    "evaluate": ("top-1 accuracy of a network", images.add_evaluate),
    "info": ("versions, devices and networks", serving.add_info),
}
"""Command -> what it is for, and what adds its own arguments."""
_OF_ONE_NETWORK = (
    "gates",
    "health",
    "counterfactuals",
    "score",
    "attribute",
    "replay",
    "methods",
    "evaluate",
)
"""Commands that load a network."""


def parse(words: list[str]) -> argparse.Namespace:
    """Read the words of a command.

    Raises:
        SystemExit: a word is unknown, missing or malformed; usage and reason are printed.
        OptionError: an option has no effect beside the others.
    """
    parser = _make_parser()
    arguments, unknown = parser.parse_known_args(
        words, argparse.Namespace(words=words, option_names=())
    )
    if arguments.command == "app":
        arguments.streamlit_options = unknown
    if unknown and not (arguments.command == "app" and serving.is_streamlit_option(unknown[0])):
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    refuse_idle(arguments)
    return arguments


def _make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="se_viz", description="See what squeeze-and-excitation gates do to an image."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    for name, (words, add) in _COMMANDS.items():
        command = commands.add_parser(name, help=words)
        add(command)
        if name in _OF_ONE_NETWORK:
            add_network(command)
            add_places(command)
        elif name == "app":
            add_network(command)
        elif name in ("networks", "info"):
            add_places(command, devices=False)
        elif name == "download":
            add_config(command)
    return parser
