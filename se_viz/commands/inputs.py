"""What commands share: the network that was asked for, its classes by name, and writing what was
found.
"""

import argparse
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from se_viz.commands.checks import cards_of, source_of
from se_viz.errors import AttributionError, NetworkError, OptionError
from se_viz.gates.tables import write_table
from se_viz.names import show_path
from se_viz.networks import Network
from se_viz.networks.loading import load_listed
from se_viz.networks.making import make_network
from se_viz.readings import Reading
from se_viz.terminal import complain


def load(arguments: argparse.Namespace, *, photos: bool = False) -> Network:
    """Load the network that was asked for, or the first there is.

    With ``photos`` the command is about them alone.

    Raises:
        NetworkError: it sees no photos, which a command needs that says so.
    """
    network = _load(arguments)
    if photos and not network.sees_photos:
        raise NetworkError(
            f"{network.card.title} sees no photos ({network.card.preprocess}), and `se_viz "
            f"{arguments.command}` is about photos. Use `se_viz gates`, `health`, `attribute`, "
            "`score` or `counterfactuals`."
        )
    return _read_at(network, arguments) if "region" in arguments else network


def _read_at(network: Network, arguments: argparse.Namespace) -> Network:
    """Return the network with its answer read where the command says."""
    if arguments.beside is None and network.card.answer == "embedding":
        raise OptionError(
            f"{network.card.title} answers with an embedding, which is compared with a second "
            "image. Add --beside IMAGE."
        )
    if arguments.beside is None:
        return network.at(Reading(arguments.region))
    beside = network.prepare(arguments.beside)
    return network.at(Reading(arguments.region, str(arguments.beside)), beside)


def _load(arguments: argparse.Namespace) -> Network:
    source = source_of(arguments)
    if source is None:
        name = arguments.network or cards_of(arguments)[0].name
        return load_listed(
            name, arguments.device, folder=arguments.checkpoints, config=arguments.config
        )
    network = make_network(source, arguments.device)
    if source.weights and network.card.notes:
        # Beside the table, which may go on to another program.
        complain(network.card.notes)
    return network


def find_class(network: Network, words: str | None) -> int | None:
    """Return the index of the class with a name or number.

    A name comes first, and a number that it hides is told.

    Raises:
        AttributionError: there is none, or several have the name.
    """
    if words is None:
        return None
    classes = network.classes
    index = _read_index(words, len(network.classes))
    exact = [number for number, name in enumerate(classes) if name == words]
    matches = exact or [
        number for number, name in enumerate(classes) if name.lower() == words.strip().lower()
    ]
    if len(matches) > 1:
        numbers = ", ".join(map(str, matches))
        raise AttributionError(
            f"{len(matches)} classes of {network.card.title} are named {words!r}: {numbers}. Give "
            "one of these numbers."
        )
    if matches:
        if index not in (None, matches[0]):
            complain(
                f"{words} is taken for the class of that name, number {matches[0]}. Class number "
                f"{words} is {classes[index]!r}: give this name to choose it."
            )
        return matches[0]
    if index is None:
        raise AttributionError(
            f"{network.card.title} has no class {words!r}. Try: {_near(classes, words)}."
        )
    return index


def _read_index(words: str, count: int) -> int | None:
    # Only as numbers are written: 010 may be the beginning of a name.
    return (
        int(words) if re.fullmatch(r"0|[1-9]\d*", words, re.ASCII) and int(words) < count else None
    )


def _near(classes: Sequence[str], words: str) -> str:
    lower = {name.lower(): name for name in classes}
    begin = (
        [name for key, name in lower.items() if key.startswith(words.lower())][:3] if words else []
    )
    near = begin or [lower[key] for key in get_close_matches(words.lower(), lower)]
    return ", ".join(near) or f"a number from 0 to {len(classes) - 1}"


def write(table: pd.DataFrame, path: Path, what: str = "gates") -> None:
    """Write a table, and say how many rows of ``what`` it has.

    Raises:
        DataError: the file cannot be written.
    """
    write_table(table, path)
    print(f"{len(table)} {what} written to {show_path(path)}")
