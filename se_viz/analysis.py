"""One image through one network: its answer and every gate, from a single forward pass."""

import threading
from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from se_viz.gates import GateRecord, capture_gates
from se_viz.networks import Network


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a network made of one image."""

    probabilities: Float[Tensor, "classes"]
    """Softmax of the logits, float32 on the CPU."""
    records: tuple[GateRecord, ...]
    """One record an SE block, batch of one, in forward order."""

    def top(self, count: int = 5) -> list[tuple[int, float]]:
        """Return the most probable class indices with their probabilities, best first."""
        values, indices = self.probabilities.topk(min(count, len(self.probabilities)))
        return list(zip(indices.tolist(), values.tolist(), strict=True))


turn = threading.RLock()
"""Held during every pass of the app: attribution hooks of one session must not see another's forward pass."""


@torch.inference_mode()
def analyse(network: Network, image: Image.Image, *, keep_features: Collection[str] = ()) -> Analysis:
    """Run an image through a network and capture every gate; blocks named in ``keep_features`` keep U too.

    Raises:
        NoSEBlocksError: ``keep_features`` names no SE block.
    """
    inputs = network.preprocess(image)
    with turn, capture_gates(network.model, keep_features=keep_features) as records:
        logits = network.model(inputs)
    return Analysis(logits[0].float().softmax(0).cpu(), tuple(records))
