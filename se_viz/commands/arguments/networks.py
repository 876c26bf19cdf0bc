"""The arguments that name a network: a listed one, one's own code, or one's own weights."""

import argparse
from argparse import ArgumentParser

from se_viz.errors import NetworkError, OptionError
from se_viz.networks.sources import Form, form_of, read_input
from se_viz.train.options import read_path

_OWN = ("weights", "architecture", "labels", "multi-label", "input", "preprocess", "answer")
"""Options that a listed network does not take."""


def add_network(command: ArgumentParser) -> None:
    """Add which network is meant, and what is said of one's own."""
    group = command.add_argument_group("network")
    group.add_argument(
        "--network",
        metavar="NAME",
        help="name of a network (default: the first of `se_viz networks`), or code of your own "
        "that makes one: file.py:callable, package.module:callable, or an ONNX file, net.onnx",
    )
    group.add_argument(
        "--weights",
        type=read_path,
        metavar="FILE",
        help="your own weights, for code of your own or for --architecture: .safetensors, or a "
        "state dict of torch.save",
    )
    group.add_argument(
        "--architecture", metavar="NAME", help="architecture of --weights, e.g. timm/seresnet50"
    )
    group.add_argument(
        "--labels",
        type=read_path,
        metavar="FILE",
        help="names of the classes: one a line, JSON, or CSV with a header",
    )
    group.add_argument(
        "--multi-label", action="store_true", help="classes are independent: a sigmoid for each"
    )
    _add_input(group)
    add_config(group)


def _add_input(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--input",
        type=_read_input,
        metavar="SHAPE",
        help="input of code of your own or of an ONNX file: the side of an RGB square, e.g. 224 "
        "(the default), or channels and sides, e.g. 3x224x224",
    )
    group.add_argument(
        "--preprocess",
        metavar="WAY",
        help="what makes an input of a file for code of your own or an ONNX file: grey, channels, "
        "log-mel, waveform, array, with options as log-mel:rate=16000,hop=160, or file.py:callable "
        "(default: rgb, a photo)",
    )
    group.add_argument(
        "--answer",
        metavar="KIND",
        help="what is read of an answer that is no logits, for code of your own: segments, boxes, "
        "embedding, value, file.py:callable, or both as segments=file.py:callable",
    )


def add_config(command: "ArgumentParser | argparse._ArgumentGroup") -> None:
    """Add the file that lists networks of one's own."""
    command.add_argument(
        "--config",
        type=read_path,
        metavar="FILE",
        help="list of networks of your own (default: se_viz.toml in this folder, if there is one)",
    )


def add_places(command: ArgumentParser, *, devices: bool = True) -> None:
    """Add where networks lie, and the device that one runs on."""
    if devices:
        command.add_argument("--device", help="cuda, cuda:1, cpu … (default: the best there is)")
    else:
        add_config(command)
    command.add_argument(
        "--checkpoints", type=read_path, help="folder of the networks (default: all there are)"
    )


def check_network(arguments: argparse.Namespace, options: set[str]) -> None:
    """Refuse options of a network that count for nothing beside the others.

    Raises:
        OptionError: one does.
    """
    if {"config", "checkpoints"} <= options:
        raise OptionError(
            "--config and --checkpoints are two lists of networks. Leave one of them out."
        )
    if arguments.network and form_of(arguments.network) is not Form.LISTED:
        _check_code(options)
    elif "weights" in options:
        _check_weights(options)
    else:
        _check_listed(options)


def _check_code(options: set[str]) -> None:
    for option in ("config", "checkpoints"):
        if option in options:
            raise OptionError(
                f"--{option} is where names of networks are looked for, and --network brings the "
                f"network itself. Leave --{option} out."
            )
    if "architecture" in options:
        raise OptionError(
            "--network and --architecture name two networks for the weights. Give one of them."
        )


def _check_listed(options: set[str]) -> None:
    for option in (name for name in sorted(_OWN) if name in options):
        of_code = option in ("input", "preprocess", "answer")
        owner = "code of your own" if of_code else "a file of your own weights"
        step = "--network file.py:callable" if of_code else "--weights FILE"
        raise OptionError(
            f"--{option} belongs to {owner}, and none is named. Add {step}, or name a listed "
            f"network with --network and leave --{option} out."
        )


def _check_weights(options: set[str]) -> None:
    if "network" in options:
        raise OptionError(
            "--network and --weights name two networks. Give one of them, or make --network code "
            "of your own: file.py:callable."
        )
    for option in ("checkpoints", "config"):
        if option in options:
            raise OptionError(
                f"--{option} is where --network is looked for, and --weights brings the network "
                "itself. Leave one out."
            )
    if "architecture" not in options:
        raise OptionError(
            "--weights alone does not say what they are for. Add --architecture, e.g. "
            "timm/seresnet50, or --network file.py:callable."
        )
    for option in ("input", "preprocess", "answer"):
        if option in options:
            what = "answer" if option == "answer" else "input"
            raise OptionError(
                f"--{option} belongs to code of your own, and --architecture knows its {what}. "
                f"Leave --{option} out."
            )


def _read_input(word: str) -> tuple[int, ...]:
    try:
        return read_input(word)
    except NetworkError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error
