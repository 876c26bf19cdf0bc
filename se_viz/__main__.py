"""The command line: arguments of `python -m se_viz gates | health | counterfactuals | methods | …`."""

import argparse
import sys
from pathlib import Path

from se_viz import __version__
from se_viz.allocator import keep_freed_memory
from se_viz.errors import SeVizError
from se_viz.train.options import add_options


def main(words: list[str] | None = None) -> int:
    """Run one command; return 0, or 1 if an input was left out, or 2 if nothing could be done."""
    words = sys.argv[1:] if words is None else words
    arguments = _parser().parse_args(words, argparse.Namespace(words=words))
    keep_freed_memory()
    try:
        # Only now: it brings PyTorch, and a slip of the pen should be told at once.
        from se_viz import commands

        return getattr(commands, arguments.command)(arguments)
    except SeVizError as error:
        print(f"se_viz: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("se_viz: stopped. A training run goes on after its last epoch when it is started again.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="se_viz", description="See what squeeze-and-excitation gates do to an image.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    gates = _add_gates(commands.add_parser("gates", help="every gate of an SE network for one or more images"))
    health = _add_health(commands.add_parser("health", help="whether gates do anything, over several images"))
    counterfactuals = _add_counterfactuals(commands.add_parser("counterfactuals", help="does it matter what gates do?"))
    score = _add_score(commands.add_parser("score", help="do the maps of attribution methods stand their tests?"))
    methods = _add_methods(commands.add_parser("methods", help="what attribution methods explain, take and need"))
    for command in (gates, health, counterfactuals, score, methods):
        _add_own_weights(command)
    networks = commands.add_parser("networks", help="the networks that can be loaded")
    networks.add_argument("pattern", nargs="?", default="", help="part of a name, e.g. regnet, or 'timm/se*'")
    download = commands.add_parser("download", help="fetch the weights of a network to the cache")
    download.add_argument("network", metavar="NAME", help="name of the network, as `se_viz networks` prints it")
    _add_cache(commands.add_parser("cache", help="the folder of downloads and what it takes"))
    add_options(commands.add_parser("train", help="train an SE network from scratch"))
    evaluate = commands.add_parser("evaluate", help="top-1 accuracy of a network")
    evaluate.add_argument("--data", type=Path, help="folder with train and val (default: download Imagenette v2)")
    info = commands.add_parser("info", help="versions, devices and networks")
    for command in (gates, health, counterfactuals, score, methods, evaluate):
        _add_network(command)
    for command in (gates, health, counterfactuals, score, methods, networks, evaluate, info):
        command.add_argument("--checkpoints", type=Path, help="folder of the networks (default: all there are)")
    return parser


def _add_gates(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    command.add_argument("--out", type=Path, help="file for the table: .csv, .parquet, .json or .npz")
    return command


def _add_health(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="images and folders (default: samples)")
    command.add_argument("--out", type=Path, help="file for the numbers: .csv, .parquet, .json or .npz")
    command.add_argument(
        "--limit", action="append", default=[], metavar="NAME=VALUE", help="where a flag begins, e.g. constant=0.05"
    )
    return command


def _add_counterfactuals(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("images", nargs="*", type=Path, metavar="IMAGE_OR_FOLDER", help="default: the samples")
    # Not checked here: the words that are known come with PyTorch.
    command.add_argument("--scope", default="block", help="what has its gates replaced at once: block, stage, network")
    kinds = ("mean", "other", "shuffle", "ones")
    command.add_argument("--kinds", nargs="+", default=kinds, help=f"what by (default: {' '.join(kinds)})")
    command.add_argument("--repeats", type=int, default=5, help="shuffles of each place (default: 5)")
    command.add_argument("--seed", type=int, default=0, help="seed of the first shuffle (default: 0)")
    command.add_argument("--out", type=Path, help="file for the table: .csv, .parquet, .json or .npz")
    command.add_argument("--plot", type=Path, metavar="FILE.html", help="file for the plot over depth")
    return command


def _add_score(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("images", nargs="*", type=Path, metavar="IMAGE_OR_FOLDER", help="default: the samples")
    # Not checked here: the words that are known come with PyTorch.
    command.add_argument("--methods", nargs="+", metavar="METHOD", help="e.g. saliency grad_cam (default: quick ones)")
    command.add_argument("--target", metavar="CLASS", help="name or number (default: each image's most probable one)")
    command.add_argument("--against", metavar="CLASS", help="explain how far the target leads this class")
    command.add_argument("--baseline", default="mean", help="what pixels are painted over with (default: mean)")
    command.add_argument("--seed", type=int, default=0, help="seed of random maps and squares (default: 0)")
    command.add_argument("--out", type=Path, help="file for the table: .csv, .parquet, .json or .npz")
    command.add_argument("--plot", type=Path, metavar="FILE.html", help="file for the mean curves")
    return command


def _add_cache(command: argparse.ArgumentParser) -> None:
    command.add_argument("--empty", action="store_true", help="delete every download")


def _add_network(command: argparse.ArgumentParser) -> None:
    command.add_argument("--network", help="name of the network (default: the first of `se_viz networks`)")
    command.add_argument("--device", help="cuda, cuda:1, cpu … (default: the best there is)")


def _add_methods(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("--out", type=Path, help="file for the table: .csv, .parquet, .json or .npz")
    return command


def _add_own_weights(command: argparse.ArgumentParser) -> None:
    own = command.add_argument_group("your own weights instead of --network")
    own.add_argument("--weights", type=Path, metavar="FILE", help=".safetensors, or a state dict that torch.save wrote")
    own.add_argument("--architecture", metavar="NAME", help="what the weights are for, e.g. timm/seresnet50")
    own.add_argument("--labels", type=Path, metavar="FILE", help="names of the classes, one a line")


if __name__ == "__main__":
    sys.exit(main())
