"""What is wrong with the words of a command, told before PyTorch, which takes seconds, is
imported.
"""

import argparse
import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from se_viz.attribution.catalogue import find_method
from se_viz.devices import ask_driver
from se_viz.errors import (
    BundleError,
    CheckpointError,
    DeviceError,
    ImageError,
    InputError,
    NetworkError,
    OptionError,
    SeVizError,
)
from se_viz.files import FIGURES, check_folder_target, check_ordinary, check_target
from se_viz.images import EXTENSIONS, find_images
from se_viz.inputs import READY
from se_viz.names import show_name, show_path
from se_viz.networks import NetworkCard, list_networks
from se_viz.networks.config import read_config
from se_viz.networks.given import find_source, problems_of
from se_viz.networks.sources import Form, Source, check_source, form_of, make_source
from se_viz.networks.zoo import damaged_networks, find_card, find_file
from se_viz.terminal import complain
from se_viz.train.options import LIST, check_folder

_DEVICE = re.compile(r"cpu|cuda(:\d+)?")


def check(arguments: argparse.Namespace) -> bool:
    """Find out before anything slow whether a command can be done.

    Put the images that were named in the place of their names, each once, and in ``missing`` how
    many names lead to none; each of these is told. Return whether there is anything to do.

    Raises:
        SeVizError: it cannot; the text says why and what to do.
    """
    _check_targets(arguments)
    if "images" in arguments:
        suffixes = _suffixes_of(arguments)
        arguments.images, arguments.missing = _gather_images(arguments.images, suffixes)
        if not arguments.images:
            return False
    for method in getattr(arguments, "methods", None) or ():
        find_method(method)
    for name in ("bundle", "photo"):
        if getattr(arguments, name, None):
            _check_file(getattr(arguments, name), BundleError)
    if getattr(arguments, "beside", None):
        _check_file(arguments.beside, ImageError)
    if "config" in arguments and not getattr(arguments, "checkpoints", None):
        _check_config(arguments)
    if "network" in arguments and arguments.command != "download":
        _check_network(arguments)
    if "data" in arguments and arguments.data:
        listed = arguments.command == "evaluate" and (arguments.data / LIST).is_file()
        if not listed:
            check_folder(arguments.data)
    if getattr(arguments, "initial", ""):
        find_card(arguments.initial, arguments.out)
    if getattr(arguments, "device", None):
        _check_device(arguments.device)
    return True


def source_of(arguments: argparse.Namespace) -> Source | None:
    """Return what makes the network that was asked for; None for one that is listed.

    Raises:
        NetworkError: its name is no name of code.
    """
    name = arguments.network or ""
    code = name if name and form_of(name) is not Form.LISTED else ""
    if not code and not arguments.weights:
        return None
    return make_source(
        code,
        architecture=arguments.architecture or "",
        weights=str(arguments.weights or ""),
        labels=str(arguments.labels or ""),
        input=arguments.input or (),
        multi_label=arguments.multi_label,
        preprocess=arguments.preprocess or "",
        answer=arguments.answer or "",
        origin="the command line",
    )


def cards_of(arguments: argparse.Namespace) -> tuple[NetworkCard, ...]:
    """Return the networks to choose from.

    Raises:
        NetworkError: there are none.
    """
    cards = list_networks(arguments.checkpoints, config=arguments.config)
    if not cards:
        for reason in damaged_networks(arguments.checkpoints, config=arguments.config).values():
            complain(reason)
        place = arguments.checkpoints or "this installation"
        raise NetworkError(
            f"There is no network in {place}. Train one, or name a folder with --checkpoints."
        )
    return cards


def _check_targets(arguments: argparse.Namespace) -> None:
    if arguments.command == "attribute":
        check_folder_target(arguments.out)
    elif arguments.command not in ("app", "train") and getattr(arguments, "out", None):
        check_target(arguments.out)
    if getattr(arguments, "plot", None):
        check_target(arguments.plot, FIGURES)
        if arguments.plot.suffix.lower() != ".html" and not find_spec("kaleido"):
            raise OptionError(
                f"{arguments.plot.name} would be drawn by kaleido, which is not installed. Install "
                "it: pip install 'se_viz[figures]', or name an .html file."
            )


def _suffixes_of(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return endings of the files that a folder is searched for: those that the network reads."""
    source = source_of(arguments)
    if source is None and arguments.network and not arguments.checkpoints:
        # A network that is not there is told before the files that it would read.
        find_card(arguments.network, config=arguments.config)
        source = find_source(arguments.network, arguments.config)
    if source is None or not source.sees_files:
        return EXTENSIONS
    if not arguments.images:
        raise InputError(
            f"The samples are photos, and {source.preprocess_shown} makes the inputs of "
            f"{source.shown}. Name files of yours."
        )
    way = READY.get(source.preprocess.partition(":")[0])
    everything = dict.fromkeys(end for way in READY.values() for end in way.suffixes)
    return way.suffixes if way else tuple(everything)


def _gather_images(paths: Sequence[Path], suffixes: tuple[str, ...]) -> tuple[list[Path], int]:
    images: dict[Path, None] = {}
    missing = 0
    for path in paths or find_images([]):
        try:
            found = find_images([path], suffixes)
            _check_existence(found)
        except ImageError as error:
            complain(error)
            missing += 1
        else:
            images.update(dict.fromkeys(found))
    return [*images], missing


def _check_existence(paths: Sequence[Path]) -> None:
    for path in paths:
        if not os.path.lexists(path):
            raise ImageError(f"There is no file {show_path(path)}. Check the name.")


def _check_network(arguments: argparse.Namespace) -> None:
    if source := source_of(arguments):
        check_source(source)
    elif arguments.network:
        folder = getattr(arguments, "checkpoints", None)
        card = find_card(arguments.network, folder, config=arguments.config)
        if card.source:
            find_file(card)
    elif arguments.command not in ("app", "methods", "replay"):
        _check_default(arguments)
        cards_of(arguments)


def _check_config(arguments: argparse.Namespace) -> None:
    """Check a list of networks that was named, and for the app also the one that lies here.

    Raises:
        CheckpointError: the file cannot be read.
    """
    if arguments.command != "app" and not arguments.config:
        return
    if reason := read_config(arguments.config).problem:
        raise CheckpointError(reason)
    if arguments.command == "app":
        for reason in problems_of(arguments.config).values():
            complain(reason)


def _check_default(arguments: argparse.Namespace) -> None:
    """Check all that is listed where the first one is meant: it may be the one that is left out.

    Raises:
        CheckpointError: something of the list cannot be used.
    """
    if arguments.checkpoints:
        return
    config = read_config(arguments.config)
    for reason in (config.problem, *config.problems.values()):
        if reason:
            raise CheckpointError(f"{reason} Or name a network with --network.")


def _check_file(path: Path, kind: type[SeVizError]) -> None:
    try:
        check_ordinary(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise kind(f"{show_name(path)} cannot be read: {reason}. Check the name.") from error


def _check_device(name: str) -> None:
    if not _DEVICE.fullmatch(name):
        names = ", ".join(ask_driver().names)
        raise DeviceError(f"There is no device {name!r} on this machine. Choose one of: {names}.")
