"""Networks that can be loaded by name: bundled, brought by users, torchvision's and timm's.

Free of PyTorch, so that names can be looked up at once; `loading` loads one.
"""

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from se_viz.errors import CheckpointError, DownloadError, NetworkError
from se_viz.names import show_name
from se_viz.networks import hubs
from se_viz.networks.cache import own_folder
from se_viz.networks.card import NetworkCard
from se_viz.networks.catalogue import list_catalogue
from se_viz.networks.checkpoints import damaged_cards, read_cards
from se_viz.networks.config import read_config
from se_viz.networks.given import (
    first_name,
    list_installed,
    list_named,
    problems_of,
)
from se_viz.networks.libraries import has_library, require_library
from se_viz.networks.sources import card_of

OWN = "own/"
"""What the names of networks that users brought begin with."""
_LONGEST = 200
"""Letters of a name that are compared with others: it takes time with the square of their
number."""


def list_networks(
    folder: Path | None = None, *, config: Path | str | None = None
) -> tuple[NetworkCard, ...]:
    """Return the cards of all networks: given ones, bundled ones, those that users brought,
    torchvision's and timm's.

    With ``folder`` only the networks of that folder. ``config`` is a file that lists networks of
    one's own (default: ``se_viz.toml`` in the working directory); what the card of one does not
    know before it is made is empty or 0. Nothing is run or downloaded: `is_on_disk` tells what
    is there. A network whose card cannot be read is left out: `damaged_networks` tells why.
    """
    if folder:
        return read_cards(folder)
    own = (replace(card, name=OWN + card.name) for card in read_cards(own_folder()))
    named = map(card_of, list_named(config))
    installed = map(card_of, list_installed(config))
    cards = (*named, *read_cards(), *installed, *own, *list_catalogue())
    first = first_name()
    return tuple(sorted(cards, key=lambda card: card.name != first)) if first else cards


def damaged_networks(
    folder: Path | None = None, *, config: Path | str | None = None
) -> dict[str, str]:
    """Return why networks are left out of `list_networks`, by name; of a whole list of one's own,
    by its file's name.
    """
    if folder:
        return damaged_cards(folder)
    return {
        **problems_of(config),
        **damaged_cards(),
        **{OWN + name: reason for name, reason in damaged_cards(own_folder()).items()},
    }


def list_on_disk() -> tuple[NetworkCard, ...]:
    """Return the cards of the networks that can be loaded at once: without a download, without
    another package.
    """
    names = hubs.local_names()
    return tuple(
        card
        for card in list_networks()
        if not card.source
        or (hubs.local_name(card) in names and is_on_disk(card) and has_library(card))
    )


def is_on_disk(card: NetworkCard) -> bool:
    """Tell whether a network can be loaded without a download."""
    return not card.source or hubs.find_weights(card) is not None


def find_card(
    name: str, folder: Path | None = None, *, config: Path | str | None = None
) -> NetworkCard:
    """Return the card of a network by its name.

    Raises:
        NetworkError: there is none of this name; the nearest names are told.
        CheckpointError: its card cannot be read.
    """
    cards = {card.name: card for card in list_networks(folder, config=config)}
    if name in cards:
        return cards[name]
    if name in (damaged := damaged_networks(folder, config=config)):
        raise CheckpointError(damaged[name])
    if not folder and (reason := read_config(config).problem):
        raise CheckpointError(reason)
    if not cards:
        raise NetworkError(
            f"There is no network {show_name(name)!r}. Train one with `python -m se_viz train`."
        )
    if len(cards) <= 20:
        raise NetworkError(
            f"There is no network {show_name(name)!r}. Choose one of: {', '.join(cards)}."
        )
    near = get_close_matches(name[:_LONGEST], cards, n=3, cutoff=0.4) or list(cards)[:1]
    raise NetworkError(
        f"There is no network {show_name(name)!r}. Did you mean {' or '.join(near)}? `python -m "
        f"se_viz networks` lists all {len(cards)}."
    )


def find_file(card: NetworkCard) -> Path:
    """Return where the weights of a network of the zoo lie on this disk.

    Raises:
        NetworkError: the library that builds it is not installed.
        DownloadError: they are not there.
    """
    require_library(card)
    if path := hubs.find_weights(card):
        return path
    raise DownloadError(
        f"{card.name} is not on this disk (about {card.download_bytes / 1e6:.0f} MB). Download it "
        f"on the page Networks, or by `python -m se_viz download {card.name}`."
    )
