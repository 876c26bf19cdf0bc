"""The arguments of the command line, free of PyTorch: what each command takes, and what has no
effect.
"""

import argparse
from typing import Any

from se_viz import __version__
from se_viz.errors import OptionError
from se_viz.train.options import add_options, check_recipe, read_count, read_path, read_seed

_TABLE = "file for the table: .csv, .parquet, .json or .npz"
_PLOT = ".html, or .svg, .pdf, .png by the extra `figures`"
_IMAGES = "images, folders and patterns such as *.jpg"


def parse(words: list[str]) -> argparse.Namespace:
    """Read the words of a command.

    Raises:
        SystemExit: a word is unknown, missing or malformed; usage and reason are printed.
        OptionError: an option has no effect beside the others.
    """
    parser = make_parser()
    arguments, unknown = parser.parse_known_args(
        words, argparse.Namespace(words=words, option_names=())
    )
    if arguments.command == "app":
        arguments.streamlit_options = unknown
    if unknown and not (arguments.command == "app" and _is_streamlit_option(unknown[0])):
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    _refuse_idle(arguments)
    return arguments


class _Once(argparse.Action):
    """Keeps a value, and refuses a second one: the first would count for nothing."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if option_string:
            options = getattr(namespace, "option_names", ())
            if self.dest in options:
                parser.error(f"argument {option_string}: it is given twice. Give it once.")
            if "" in (values if isinstance(values, list) else [values]):
                parser.error(
                    f"argument {option_string}: it is empty. Give it a value, or leave it out."
                )
            namespace.option_names = (*options, self.dest)
        setattr(namespace, self.dest, values)


class _Parser(argparse.ArgumentParser):
    """Every option once, and in full: a part of its name may be that of a later one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)
        for kind in (None, "store"):
            self.register("action", kind, _Once)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    parser = _Parser(
        prog="se_viz", description="See what squeeze-and-excitation gates do to an image."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    _add_app(commands.add_parser("app", help="start the app, and open it in a browser"))
    gates = _add_gates(
        commands.add_parser("gates", help="every gate of an SE network for one or more images")
    )
    health = _add_health(
        commands.add_parser("health", help="the health of gates over several images")
    )
    counterfactuals = _add_counterfactuals(
        commands.add_parser("counterfactuals", help="the effect of replaced gates on the answer")
    )
    score = _add_score(
        commands.add_parser("score", help="scores of attribution maps beside control maps")
    )
    attribute = _add_attribute(
        commands.add_parser("attribute", help="attribution maps of images: numbers and pictures")
    )
    replay = _add_replay(
        commands.add_parser("replay", help="a replay bundle, run again and compared")
    )
    methods = _add_methods(
        commands.add_parser("methods", help="attribution methods: questions, cost and needs")
    )
    for command in (gates, health, counterfactuals, score, attribute, methods):
        _add_own_weights(command)
        command.epilog = (
            "Exit status: 0; 1 if an image was left out, and named; 2 if nothing could be done. "
            "Tables and plots are written beside their place and renamed: a command that ends "
            "early leaves the older file."
        )
    _add_own_weights(replay)
    replay.epilog = (
        "Exit status: 0 if gates, logits and maps are the same within the tolerance, 1 if not, 2 "
        "if the bundle could not be run. Nothing in a bundle is run but what se_viz does itself."
    )
    networks = commands.add_parser("networks", help="the networks that can be loaded")
    networks.add_argument(
        "pattern", nargs="?", default="", help="part of a name, e.g. regnet, or 'timm/se*'"
    )
    download = commands.add_parser("download", help="fetch the weights of a network to the cache")
    download.add_argument(
        "network", metavar="NAME", help="name of the network, as `se_viz networks` prints it"
    )
    cache = commands.add_parser("cache", help="the folder of downloads and its size")
    cache.add_argument("--empty", action="store_true", help="delete every download")
    add_options(commands.add_parser("train", help="train an SE network from scratch"))
    evaluate = commands.add_parser("evaluate", help="top-1 accuracy of a network")
    evaluate.add_argument(
        "--data", type=read_path, help="folder with train and val (default: download Imagenette v2)"
    )
    info = commands.add_parser("info", help="versions, devices and networks")
    info.add_argument(
        "--check", action="store_true", help="ask PyTorch itself for the devices (takes seconds)"
    )
    for command in (gates, health, counterfactuals, score, attribute, replay, methods, evaluate):
        command.add_argument(
            "--network", help="name of the network (default: the first of `se_viz networks`)"
        )
        command.add_argument("--device", help="cuda, cuda:1, cpu … (default: the best there is)")
    users = (gates, health, counterfactuals, score, attribute, replay, methods)
    for command in (*users, networks, evaluate, info):
        command.add_argument(
            "--checkpoints", type=read_path, help="folder of the networks (default: all there are)"
        )
    return parser


def _add_app(command: argparse.ArgumentParser) -> None:
    # Streamlit's own spellings too, so that nobody gives a port twice.
    command.add_argument(
        "--port", "--server.port", type=_read_port, help="default: 8501, or the next that is free"
    )
    command.add_argument(
        "--address",
        "--server.address",
        help="where to listen, e.g. localhost to keep the app to this machine (default: "
        "everywhere)",
    )
    command.usage = "se_viz app [-h] [--port PORT] [--address ADDRESS] [--SECTION.OPTION VALUE ...]"
    command.epilog = (
        "Options with a dot go to Streamlit, e.g. --server.allowedHosts se.example.org, or "
        "--server.headless true to open no browser; `streamlit run --help` lists them. A class on "
        "the same network opens the address that is printed as Network URL. Ctrl-C ends the app."
    )


def _read_port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no port: give a whole number from 1 to 65535"
        )
    return int(text)


def _is_streamlit_option(word: str) -> bool:
    return word.startswith("--") and "." in word.partition("=")[0]


def _add_gates(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument(
        "images", nargs="+", type=read_path, metavar="IMAGE_OR_FOLDER", help=_IMAGES
    )
    command.add_argument("--out", type=read_path, help=_TABLE)
    _add_batch(command)
    return command


def _add_batch(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--batch",
        type=read_count,
        default=8,
        metavar="IMAGES",
        help="images a pass (default: 8); with 1 each is alone, to the last digit",
    )


def _add_health(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    _add_images(command)
    command.add_argument(
        "--out", type=read_path, help="file for the numbers: .csv, .parquet, .json or .npz"
    )
    command.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="where a flag begins, e.g. constant=0.05",
    )
    _add_batch(command)
    return command


def _add_counterfactuals(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    _add_images(command)
    command.add_argument(
        "--scope",
        default="block",
        help="unit whose gates are replaced at once: block, stage, network",
    )
    kinds = ("mean", "other", "shuffle", "ones")
    command.add_argument(
        "--kinds", nargs="+", default=kinds, help=f"what by (default: {' '.join(kinds)})"
    )
    lenders = "other images whose gates each image gets (default: 30)"
    command.add_argument("--lenders", type=read_count, default=30, help=lenders)
    command.add_argument(
        "--repeats", type=read_count, default=5, help="shuffles of each place (default: 5)"
    )
    command.add_argument(
        "--seed", type=read_seed, default=0, help="seed of the first shuffle (default: 0)"
    )
    command.add_argument("--out", type=read_path, help=_TABLE)
    command.add_argument(
        "--plot",
        type=read_path,
        metavar="FILE",
        help="file for the plot over depth: .html, or .svg, .pdf, .png with se_viz[figures]",
    )
    return command


def _add_score(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    _add_images(command)
    command.add_argument(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help="e.g. saliency grad_cam (default: quick ones)",
    )
    _add_target(command)
    command.add_argument(
        "--baseline", default="mean", help="replacement of masked pixels (default: mean)"
    )
    command.add_argument(
        "--seed", type=read_seed, default=0, help="seed of random maps and squares (default: 0)"
    )
    command.add_argument("--out", type=read_path, help=_TABLE)
    command.add_argument(
        "--plot",
        type=read_path,
        metavar="FILE",
        help="file for the mean curves: .html, or .svg, .pdf, .png with se_viz[figures]",
    )
    return command


def _add_attribute(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    _add_images(command)
    command.add_argument(
        "--method",
        "--methods",
        dest="methods",
        nargs="+",
        action="extend",
        metavar="METHOD",
        help="e.g. saliency grad_cam; `se_viz methods` lists all (default: integrated_gradients)",
    )
    _add_target(command)
    command.add_argument(
        "--baseline",
        default="mean",
        help="what the image is compared with, where a method does that (default: mean)",
    )
    command.add_argument(
        "--stage", type=read_count, help="stage that Grad-CAM and its like look at (default: last)"
    )
    command.add_argument(
        "--option",
        dest="options",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the methods that have it, e.g. n_steps=64 or seed=1",
    )
    command.add_argument(
        "--out",
        type=read_path,
        required=True,
        metavar="FOLDER",
        help="folder for the maps (.npz), pictures (.png) and the table attributions.csv",
    )
    return command


def _add_replay(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("bundle", type=read_path, metavar="BUNDLE.zip")
    command.add_argument(
        "--photo", type=read_path, metavar="FILE", help="the photo, where the bundle has it not"
    )
    command.add_argument(
        "--tolerance",
        type=_read_share,
        default=1e-4,
        metavar="SHARE",
        help="largest difference that counts as the same, as a share of the largest value "
        "(default: %(default)s)",
    )
    return command


def _read_share(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{word} is no number from 0 to 1")
    return value


def _add_target(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--target",
        metavar="CLASS",
        help="name or number, from 0; a name comes first where both fit (default: each image's "
        "most probable class)",
    )
    command.add_argument(
        "--against", metavar="CLASS", help="explain how far the target leads this class"
    )


def _add_images(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "images",
        nargs="*",
        type=read_path,
        metavar="IMAGE_OR_FOLDER",
        help=f"{_IMAGES} (default: the samples)",
    )


def _add_methods(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("--out", type=read_path, help=_TABLE)
    return command


def _add_own_weights(command: argparse.ArgumentParser) -> None:
    own = command.add_argument_group("your own weights instead of --network")
    own.add_argument(
        "--weights",
        type=read_path,
        metavar="FILE",
        help=".safetensors, or a state dict of torch.save",
    )
    own.add_argument(
        "--architecture", metavar="NAME", help="architecture of the weights, e.g. timm/seresnet50"
    )
    own.add_argument(
        "--labels", type=read_path, metavar="FILE", help="names of the classes, one a line"
    )
    own.add_argument(
        "--multi-label", action="store_true", help="classes are independent: a sigmoid for each"
    )


def _refuse_idle(arguments: argparse.Namespace) -> None:
    """Refuse options that count for nothing beside the others.

    Raises:
        OptionError: one does.
    """
    options = set(arguments.option_names) | (
        {"multi-label"} if getattr(arguments, "multi_label", False) else set()
    )
    if "weights" in vars(arguments):
        _check_weights(options)
    if arguments.command == "methods":
        for option in sorted(
            {"device", "checkpoints"} & options if not {"network", "weights"} & options else ()
        ):
            raise OptionError(
                f"--{option} has no effect here: without a network methods are listed, not judged. "
                f"Add --network NAME or --weights FILE, or leave --{option} out."
            )
    if arguments.command == "counterfactuals" and "shuffle" not in arguments.kinds:
        for option in sorted({"repeats", "seed"} & options):
            raise OptionError(
                f"--{option} applies to shuffles alone, and --kinds {' '.join(arguments.kinds)} "
                f"has none. Add shuffle to --kinds, or leave --{option} out."
            )
    if (
        arguments.command == "counterfactuals"
        and "lenders" in options
        and not {"mean", "other"} & {*arguments.kinds}
    ):
        raise OptionError(
            "--lenders applies to the gates of other images, and --kinds "
            f"{' '.join(arguments.kinds)} has none. Add other or mean to --kinds, or leave "
            "--lenders out."
        )
    if arguments.command == "train":
        check_recipe(arguments)


def _check_weights(options: set[str]) -> None:
    if "weights" not in options:
        for option in sorted({"architecture", "labels", "multi-label"} & options):
            raise OptionError(
                f"--{option} belongs to a file of your own weights, and none is named. Add "
                f"--weights FILE, or name a listed network with --network and leave --{option} out."
            )
        return
    if "network" in options:
        raise OptionError("--network and --weights name two networks. Give one of them.")
    if "checkpoints" in options:
        raise OptionError(
            "--checkpoints is where --network is looked for, and --weights brings the network "
            "itself. Leave one out."
        )
    if "architecture" not in options:
        raise OptionError(
            "--weights alone does not say what they are for. Add --architecture, e.g. "
            "timm/seresnet50."
        )
