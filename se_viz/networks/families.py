"""The families of networks that se_viz builds itself: a row each, a new family is one row and its
module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from se_viz.errors import NetworkError
from se_viz.names import show_name
from se_viz.networks.efficientnet import ARCHITECTURE, build_se_efficientnet
from se_viz.networks.resnet import PLANS, build_se_resnet


@dataclass(frozen=True, slots=True)
class Family:
    """Architectures that one function builds."""

    title: str
    """Name for people."""
    architectures: tuple[str, ...]
    """What cards and options call them, smallest first."""
    build: Callable[..., nn.Module]
    """Takes an architecture, ``num_classes`` and the options by name; returns an untrained
    model."""
    options: tuple[str, ...]
    """Arguments that a card may give beside the number of classes; also fields of a training
    recipe."""


# No row names the classifier: it is the tensor whose shape depends on the number of classes.
FAMILIES = (
    Family("SE-ResNet", tuple(PLANS), build_se_resnet, options=("width", "reduction")),
    Family("SE-EfficientNet-Lite", (ARCHITECTURE,), build_se_efficientnet, options=()),
)


def list_architectures() -> tuple[str, ...]:
    """Return the names of all that can be built here."""
    return tuple(name for family in FAMILIES for name in family.architectures)


def find_family(architecture: str) -> Family:
    """Return the family that an architecture belongs to.

    Raises:
        NetworkError: no family has it.
    """
    for family in FAMILIES:
        if architecture in family.architectures:
            return family
    raise NetworkError(
        f"There is no architecture {show_name(architecture)!r}. Choose one of: "
        f"{', '.join(list_architectures())}."
    )


def build_untrained(architecture: str, *, num_classes: int = 1000, **options: Any) -> nn.Module:
    """Build an untrained network of one of the families.

    Raises:
        NetworkError: no family has the architecture, or it cannot have these options.
    """
    return find_family(architecture).build(architecture, num_classes=num_classes, **options)
