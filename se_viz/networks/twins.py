"""Which networks belong beside each other: those that differ by their SE blocks alone, and those
that see the same part of an image.
"""

from se_viz.networks.card import NetworkCard
from se_viz.networks.zoo import OWN

_PREFIX = "se_"


def are_twins(card: NetworkCard, other: NetworkCard) -> bool:
    """Tell whether two networks differ by their SE blocks alone.

    A card that names its ``twin`` says so; otherwise one name, or one architecture of networks of
    the same data, is the other with ``se_`` before it.
    """
    if card.twin or other.twin:
        return card.twin == other.name or other.twin == card.name
    alike = card.library == other.library and card.data == other.data
    return _is_prefixed(card.name, other.name) or (
        alike and _is_prefixed(card.architecture, other.architecture)
    )


def see_alike(card: NetworkCard, other: NetworkCard) -> bool:
    """Tell whether a place of what one network sees is the same place of what the other sees, at
    any resolution.
    """
    if card.preprocess or other.preprocess:
        return card.preprocess == other.preprocess and card.shape == other.shape
    return _part_of_photo(card) == _part_of_photo(other)


def _is_prefixed(name: str, other: str) -> bool:
    stems = [text.removeprefix(OWN).removeprefix(_PREFIX) for text in (name, other)]
    return name != other and stems[0] == stems[1]


def _part_of_photo(card: NetworkCard) -> tuple[str, float]:
    """Return how a photo is cut, and which share of its shorter side is seen."""
    size, resize = card.view.size, card.view.resize or card.view.size
    return card.view.crop, round(size / resize, 4)
