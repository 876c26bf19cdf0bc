"""What commands share: the network that was asked for, and writing what they found."""

import argparse
from pathlib import Path

import pandas as pd

from se_viz.errors import DataError, NetworkError
from se_viz.gates.tables import write_table
from se_viz.networks import Network, NetworkCard, list_networks, load_network
from se_viz.networks.labels import read_labels


def cards_of(arguments: argparse.Namespace) -> tuple[NetworkCard, ...]:
    """Return the networks to choose from.

    Raises:
        NetworkError: there are none.
    """
    cards = list_networks(arguments.checkpoints)
    if not cards:
        place = arguments.checkpoints or "this installation"
        raise NetworkError(f"There is no network in {place}. Train one, or name a folder with --checkpoints.")
    return cards


def load(arguments: argparse.Namespace) -> Network:
    """Load the network that was asked for, or the first there is."""
    if getattr(arguments, "weights", None):
        return _load_own(arguments)
    name = arguments.network or cards_of(arguments)[0].name
    return load_network(name, arguments.device, folder=arguments.checkpoints)


def _load_own(arguments: argparse.Namespace) -> Network:
    from se_viz.networks.own import read_own

    if not arguments.architecture:
        raise NetworkError("--weights alone does not say what they are for. Add --architecture, e.g. timm/seresnet50.")
    labels = read_labels(arguments.labels) if arguments.labels else ()
    return read_own(arguments.weights, arguments.architecture, labels=labels, device=arguments.device)


def write(table: pd.DataFrame, path: Path, what: str = "gates") -> None:
    """Write a table, and say how many rows of ``what`` it has.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        write_table(table, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}. Name another file with --out.") from error
    print(f"{len(table)} {what} written to {path}")
