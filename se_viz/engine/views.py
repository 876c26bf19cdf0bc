"""What pages see of a network and of a device without holding either.

And records that no library call returns.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from se_viz.attribution.layers import Side
from se_viz.gates.jacobian import Pattern, Strongest
from se_viz.gates.records import Inspection
from se_viz.networks import Network, NetworkCard
from se_viz.networks.answers import Labels, labels_of, name_answer

Cells: TypeAlias = Float[Tensor, "*sides"]
"""A map, on the grid of a feature map or of the input."""

Gates: TypeAlias = Float[Tensor, "channels"]
"""The gates of one block for one image, or what each has to do with an answer."""

Input: TypeAlias = Float[Tensor, "1 channels *sides"]
"""One input of a network, made of a file that is no photo."""

Seen: TypeAlias = Image.Image | Input
"""What a network looks at: the square of a photo, or an input that was made of another file."""

DETAIL = 128
"""Cells a side of a map of a feature map as it is drawn over a photo."""


@dataclass(frozen=True, slots=True)
class NetworkView:
    """A loaded network as pages see it; it holds no model, and can travel."""

    name: str
    """Name it is loaded by."""
    card: NetworkCard
    """Where it comes from."""
    classes: tuple[str, ...]
    """Readable class names, in the order of the logits."""
    inspection: Inspection
    """Its SE blocks, as they were checked."""
    device: str
    """Name of the device it runs on."""
    precision: str = "float32"
    """Of its weights."""
    lack: str = ""
    """Why there are no gates to see, in one sentence; empty where it has SE blocks."""

    @property
    def sees_photos(self) -> bool:
        """Whether its inputs are photos in three colours."""
        return not self.card.preprocess

    @property
    def detail(self) -> tuple[int, ...]:
        """Cells that a map of a feature map is drawn with: of what is no photo, its own sides."""
        return (DETAIL, DETAIL) if self.sees_photos else self.card.shape[1:]

    def labels(self, logits: Float[Tensor, "classes"]) -> Labels:
        """Return the answer, see `Network.labels`."""
        return labels_of(logits, independent=self.card.independent, shares=self.card.shares)

    def name_answer(self, logits: Float[Tensor, "classes"]) -> str:
        """Return the answer in words, see `Network.name_answer`."""
        return name_answer(logits, self.card)


@dataclass(frozen=True, slots=True)
class Load:
    """How much is asked of a device."""

    device: str
    """Its name."""
    waiting: int
    """How many passes and slices wait for it."""
    step: float | None
    """Seconds that the last pass or slice took; None: there was none."""


@dataclass(frozen=True, slots=True)
class BlockJacobian:
    """What is shown of the whole Jacobian of a block."""

    cells: Float[np.ndarray, "cells cells"]
    """Means of its entries, in the order of the pattern."""
    pattern: Pattern
    """Its strongest pattern."""
    strongest: Strongest
    """Its strongest rows and columns."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one method shows at one feature map, without the values of each channel's cells."""

    map: Cells
    """The map, on the grid of the feature map."""
    side: Side
    """Its sums over channels and over cells."""
    seconds: float
    """Run time."""
    focus: float | None
    """Share of the photo that holds half of what is positive; None: nothing is."""


def view_of(name: str, network: Network) -> NetworkView:
    """Return what pages see of a network.

    Raises:
        NetworkError: a block of it was replaced since it was loaded.
    """
    precision = str(network.precision).removeprefix("torch.")
    device = str(network.device)
    return NetworkView(
        name=name,
        card=network.card,
        classes=network.classes,
        inspection=network.inspection,
        device=device,
        precision=precision,
        lack=network.lack,
    )
