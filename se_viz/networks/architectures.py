"""Untrained networks by their card, for any number of classes: se_viz's own, torchvision's and
timm's.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from se_viz.errors import CheckpointError, NetworkError, SeVizError
from se_viz.names import show_name
from se_viz.networks.card import NetworkCard
from se_viz.networks.families import build_untrained
from se_viz.networks.hubs import DamagedError, check_hash
from se_viz.networks.libraries import require_library
from se_viz.networks.weights import check_fit, read_tensors


def build(card: NetworkCard, *, num_classes: int) -> nn.Module:
    """Build the network of a card with random weights and a classifier for ``num_classes``.

    Raises:
        NetworkError: its library is not installed, or does not know the name.
        CheckpointError: the card has arguments that the architecture does not take.
    """
    require_library(card)
    try:
        if card.library == "torchvision":
            return _torchvision(card, num_classes)
        if card.library == "timm":
            return _timm(card, num_classes)
        return build_untrained(card.architecture, num_classes=num_classes, **card.arguments)
    except (SeVizError, NotImplementedError):
        # The second is what the meta device raises, for `shapes` to answer.
        raise
    except Exception as error:
        # Libraries raise anything on arguments of another kind than they expect.
        raise CheckpointError(
            f"The card of {card.name} has arguments that cannot be built ({show_name(error)}). "
            "Restore the file."
        ) from error


def build_trained(card: NetworkCard, path: Path) -> nn.Module:
    """Build a network of the zoo with the weights of a file that its source gave.

    Raises:
        NetworkError: its library is not installed, or does not know the name.
        CheckpointError: the file is damaged or does not fit.
    """
    try:
        check_hash(card, path)
        if card.library == "timm":
            # timm's own way in: it knows how each of its files was written.
            return _timm(
                card, card.num_classes, pretrained=True, pretrained_cfg_overlay={"file": str(path)}
            )
        model = build(card, num_classes=card.num_classes)
        tensors = read_tensors(path.read_bytes(), path.name)
        check_fit(model.state_dict(), tensors, path.name)
        model.load_state_dict(tensors)
        return model
    except (DamagedError, RuntimeError, OSError) as error:
        raise CheckpointError(
            f"The weights of {card.name} in the cache cannot be used ({error}). Empty the cache "
            "and download them again."
        ) from error


def shapes(card: NetworkCard, *, num_classes: int) -> nn.Module:
    """Build the network of a card without memory for its values (PyTorch's meta device) where it
    can be.
    """
    try:
        with torch.device("meta"):
            return build(card, num_classes=num_classes)
    except NotImplementedError:
        # torchvision's RegNet computes its widths with tensors, which have to have values.
        return build(card, num_classes=num_classes).to("meta")


def _torchvision(card: NetworkCard, num_classes: int) -> nn.Module:
    from torchvision import models

    try:
        return models.get_model(card.architecture, num_classes=num_classes)
    except ValueError as error:
        raise _unknown(card) from error


def _timm(card: NetworkCard, num_classes: int, **options: Any) -> nn.Module:
    import timm

    if not timm.is_model(card.architecture):
        raise _unknown(card)
    name = f"{card.architecture}.{card.weights}" if card.weights else card.architecture
    return timm.create_model(name, num_classes=num_classes, **options)


def _unknown(card: NetworkCard) -> NetworkError:
    installed = f"{card.library} {version(card.library)}"
    return NetworkError(
        f"{installed} has no architecture {card.architecture!r}. Update it, or choose another "
        "network."
    )
