"""Cards of the networks that lie in a folder: read and checked without PyTorch.

Why: docs/decisions/036-weights-are-safetensors.md
"""

import json
import os
from pathlib import Path

from se_viz.errors import CheckpointError
from se_viz.files import read_file
from se_viz.names import name_path, show_name
from se_viz.networks.card import NetworkCard, card_from_json

_PACKAGED = Path(__file__).parents[1] / "checkpoints"
FOLDER = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2] / "checkpoints"
"""Where the bundled weights lie: inside an installed package, or at the top of a clone."""
FIRST = "se_resnet50_half_imagenette"
"""The network that everything begins with, where a folder has it; the others come by name."""
_CARD_BYTES = 16 << 20
"""Largest card that is read: names of 21,843 classes take one megabyte."""


def read_cards(folder: Path | None = None) -> tuple[NetworkCard, ...]:
    """Read the cards of a folder, ``FIRST`` first and the others by name.

    Those that cannot be read are left out, see `damaged_cards`.
    """
    return _scan(folder or FOLDER)[0]


def damaged_cards(folder: Path | None = None) -> dict[str, str]:
    """Return why each card of a folder that cannot be read is left out, by the name of its
    network.
    """
    return _scan(folder or FOLDER)[1]


def list_files(folder: Path | None = None) -> list[str]:
    """Return the names of a folder's cards; none where it may not be read."""
    try:
        return [name for name in os.listdir(folder or FOLDER) if name.endswith(".json")]
    except OSError:
        return []


def _scan(folder: Path) -> tuple[tuple[NetworkCard, ...], dict[str, str]]:
    cards: list[NetworkCard] = []
    damaged: dict[str, str] = {}
    # Not `Path.glob`, which is silent about folders that may not be read.
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    except FileNotFoundError:
        return (), {}
    except OSError as error:
        return (), {
            folder.name: f"{folder} cannot be read: {error.strerror}. Check who may read it."
        }
    for name in sorted(names, key=lambda name: name != f"{FIRST}.json"):
        try:
            cards.append(_read_card(folder / name))
        except CheckpointError as error:
            damaged[name_path(name.removesuffix(".json"))] = name_path(str(error))
    return tuple(cards), damaged


def _read_card(path: Path) -> NetworkCard:
    try:
        content = read_file(path, _CARD_BYTES)
    except OSError as error:
        raise CheckpointError(
            f"{path.name} cannot be read: {error.strerror}. Restore the file."
        ) from error
    if len(content) > _CARD_BYTES:
        raise CheckpointError(
            f"{path.name} has more than the {_CARD_BYTES >> 20} MB of a card. Restore the file."
        )
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path.name} is no readable JSON ({error}). Restore the file."
        ) from error
    card = card_from_json(values, source=path.name)
    if card.name != path.stem:
        raise CheckpointError(
            f"{path.name} is the card of {show_name(card.name)!r}. Give the file the name of its "
            "network."
        )
    return card
