"""Which networks differ by their SE blocks alone, and which see the same part of an image."""

from dataclasses import replace
from typing import Any

import pytest

from se_viz.networks import NetworkCard
from se_viz.networks.twins import are_twins, see_alike


def named(card: NetworkCard, name: str, **changes: Any) -> NetworkCard:
    return replace(card, **{"name": name, "architecture": name, "data": name, **changes})


PAIRS = [
    ("se_slim_vgg", {}, "slim_vgg", {}, True),
    ("own/se_slim_vgg", {}, "slim_vgg", {}, True),
    ("se_slim_vgg", {}, "slim_resnet", {}, False),
    ("slim_vgg", {}, "slim_vgg", {}, False),
    ("a", {"architecture": "se_x", "data": "d"}, "b", {"architecture": "x", "data": "d"}, True),
    ("a", {"architecture": "se_x", "data": "d"}, "b", {"architecture": "x", "data": "e"}, False),
    ("a", {"architecture": "x", "data": "d"}, "b", {"architecture": "x", "data": "d"}, False),
    # What a card says counts more than names.
    ("a", {"twin": "b"}, "b", {}, True),
    ("se_b", {"twin": "c"}, "b", {}, False),
]


@pytest.mark.parametrize(("name", "changes", "other", "others", "expected"), PAIRS)
def test_twins_are_told_by_card_or_name(
    card: NetworkCard,
    name: str,
    changes: dict[str, str],
    other: str,
    others: dict[str, str],
    expected: bool,
):
    """The same whichever of the two is asked first."""
    pair = named(card, name, **changes), named(card, other, **others)
    assert are_twins(*pair) == are_twins(*reversed(pair)) == expected


def test_places_are_the_same_where_photos_are_cut_alike(card: NetworkCard):
    """Seven eighths of a side are seven eighths at any resolution; all of a side is another cut."""
    small = replace(card, input_size=224, resize=256)
    large = replace(card, input_size=448, resize=512)
    whole = replace(card, input_size=224, resize=None)
    assert see_alike(small, large)
    assert not see_alike(small, whole)
    assert not see_alike(small, replace(small, crop="squash"))
    sound = replace(card, preprocess="log-mel", input_shape=(1, 32, 48))
    assert see_alike(sound, sound)
    assert not see_alike(sound, small)
    assert not see_alike(sound, replace(sound, input_shape=(1, 32, 64)))
