"""Architectures by name, also those without published weights: each as an untrained card."""

import math
from dataclasses import replace
from difflib import get_close_matches
from importlib.util import find_spec
from itertools import islice

from se_viz.errors import NetworkError
from se_viz.gates.places import scan_model
from se_viz.names import show_name
from se_viz.networks.architectures import shapes
from se_viz.networks.card import NetworkCard
from se_viz.networks.families import list_architectures
from se_viz.networks.sources import GIVEN
from se_viz.networks.zoo import list_networks

_TIMM = "timm/"
_LONGEST = 100
"""Letters of a name that is compared with others."""
_NEAR = 3


def find_architecture(name: str) -> NetworkCard:
    """Return the card of an architecture, without weights or with those that it is listed with.

    ``name`` is a network's name (``timm/seresnet50.ra2_in1k``), or that without its weights
    (``timm/seresnet50``), a depth of se_viz at full width (``se_resnet50``), or what timm builds
    with SE blocks and has no weights of (``timm/seresnet18``).

    Raises:
        NetworkError: there is no such architecture, or it has no SE block; near names are told.
    """
    cards = _buildable()
    for card in cards:
        # With arguments of its own, such as a width, it is not what the architecture's name alone
        # means.
        plain = () if card.arguments else (f"{card.library}/{card.architecture}", card.architecture)
        if name in (card.name, *plain):
            return card
    if name in list_architectures():
        usual = next(card for card in cards if card.library == "torchvision")
        return replace(usual, name=name, library="se_viz", architecture=name, weights="", source="")
    return _find_in_timm(name) or _refuse(name)


def _buildable() -> list[NetworkCard]:
    # Code of one's own makes one network, and not its like.
    return [card for card in list_networks() if card.library != GIVEN]


def _find_in_timm(name: str) -> NetworkCard | None:
    """Return the card of what timm builds under a name; None where it builds nothing of it."""
    if not find_spec("timm"):
        return None
    import timm

    architecture = name.removeprefix(_TIMM)
    if "/" in architecture or not timm.is_model(architecture):
        return None
    card = _card_of_timm(architecture)
    if not _has_gates(card):
        raise NetworkError(
            f"{show_name(name)} has no SE block, of which se_viz shows the gates. Choose the name "
            "of a network in `python -m se_viz networks`, or another one of timm's with SE blocks."
        )
    return card


def _card_of_timm(architecture: str) -> NetworkCard:
    import timm
    from timm.data.config import resolve_data_config

    entry = timm.get_pretrained_cfg(architecture)
    view = resolve_data_config(pretrained_cfg=entry.to_dict() if entry else {})
    side = view["input_size"][-1]
    usual = next(card for card in list_networks() if card.library == "timm")
    return replace(
        usual,
        name=_TIMM + architecture,
        title=f"{architecture} (timm)",
        architecture=architecture,
        weights="",
        source="",
        classes=(),
        num_classes=0,
        input_size=side,
        resize=math.floor(side / view["crop_pct"]),
        crop="squash" if view["crop_mode"] == "squash" else "centre",
        interpolation="bilinear" if view["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(view["mean"]),
        std=tuple(view["std"]),
        licence="",
    )


def _has_gates(card: NetworkCard) -> bool:
    return bool(scan_model(shapes(card, num_classes=2)).blocks)


def _refuse(name: str) -> NetworkCard:
    near = " or ".join(_near(name))
    question = f" Did you mean {near}?" if near else ""
    raise NetworkError(
        f"There is no architecture {show_name(name)!r}.{question} Choose the name of a network in "
        f"`python -m se_viz networks`, or one of: {', '.join(list_architectures())}."
    )


def _near(name: str) -> list[str]:
    """Return architectures whose names are near, all with SE blocks."""
    listed = dict.fromkeys(
        f"{card.library}/{card.architecture}" for card in _buildable() if card.weights
    )
    known = {*listed, *list_architectures()}
    if find_spec("timm"):
        import timm

        listed |= dict.fromkeys(_TIMM + model for model in timm.list_models())
    # Most people leave the library out.
    names = {full.rpartition("/")[2]: full for full in [*list_architectures(), *listed]}
    word = name[:_LONGEST].rpartition("/")[2].partition(".")[0].lower()
    matches = (names[match] for match in get_close_matches(word, names, n=10, cutoff=0.7))
    gated = (full for full in matches if full in known or _has_gates(_card_of_timm(full[5:])))
    return [*islice(gated, _NEAR)]
