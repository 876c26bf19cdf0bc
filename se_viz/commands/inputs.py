"""What commands share: the network and the images that were asked for, and writing what they
found.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from se_viz.errors import ImageError, NetworkError
from se_viz.files import told, write_file
from se_viz.gates.tables import check_target, write_table
from se_viz.images import find_images
from se_viz.names import show_path
from se_viz.networks import Network, NetworkCard, list_networks, load_network
from se_viz.networks.labels import read_labels
from se_viz.networks.zoo import damaged_networks
from se_viz.terminal import complain


def cards_of(arguments: argparse.Namespace) -> tuple[NetworkCard, ...]:
    """Return the networks to choose from.

    Raises:
        NetworkError: there are none.
    """
    cards = list_networks(arguments.checkpoints)
    if not cards:
        for reason in damaged_networks(arguments.checkpoints).values():
            complain(reason)
        place = arguments.checkpoints or "this installation"
        raise NetworkError(
            f"There is no network in {place}. Train one, or name a folder with --checkpoints."
        )
    return cards


def load(arguments: argparse.Namespace) -> Network:
    """Load the network that was asked for, or the first there is."""
    if getattr(arguments, "weights", None):
        return _load_own(arguments)
    name = arguments.network or cards_of(arguments)[0].name
    return load_network(name, arguments.device, folder=arguments.checkpoints)


def _load_own(arguments: argparse.Namespace) -> Network:
    from se_viz.networks.own import read_own

    labels = read_labels(arguments.labels) if arguments.labels else ()
    network = read_own(
        arguments.weights,
        arguments.architecture,
        labels=labels,
        device=arguments.device,
        multi_label=arguments.multi_label,
    )
    if network.card.notes:
        # Beside the table, which may go on to another program.
        complain(network.card.notes)
    return network


def gather_images(paths: Sequence[Path]) -> tuple[list[Path], int]:
    """Return the image files that were named, each once, and how many names lead to none.

    Each of these is told.
    """
    images: dict[Path, None] = {}
    missing = 0
    for path in paths or find_images([]):
        try:
            images.update(dict.fromkeys(find_images([path])))
        except ImageError as error:
            complain(error)
            missing += 1
    return [*images], missing


def leave_out(path: Path, error: Exception) -> None:
    """Tell why an image is left out."""
    complain(f"{show_path(path)}: {error}")


def end(count: int, total: int) -> int:
    """Return the exit status: 1 if an image was left out, 2 if all were.

    And say how many, if several.
    """
    if count and total - count > 1:
        complain(f"{total - count} of {total} were left out; the reason of each is above.")
    return 2 if not count else int(count < total)


def check_targets(arguments: argparse.Namespace) -> None:
    """Find out before anything slow whether the table and the plot can be written.

    Raises:
        DataError: one of them cannot.
    """
    if arguments.out:
        check_target(arguments.out)
    if getattr(arguments, "plot", None):
        check_target(arguments.plot, (".html",))


def write(table: pd.DataFrame, path: Path, what: str = "gates") -> None:
    """Write a table, and say how many rows of ``what`` it has.

    Raises:
        DataError: the file cannot be written.
    """
    write_table(table, path)
    print(f"{len(table)} {what} written to {show_path(path)}")


def write_page(path: Path, content: bytes) -> None:
    """Write a plot as a page that works offline.

    Raises:
        DataError: the file cannot be written.
    """
    with told(path):
        write_file(path, content)
