"""One image through one network: its answer and every gate, from a single forward pass."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from se_viz.errors import DeviceError
from se_viz.gates import GateRecord, capture_gates
from se_viz.line import Watch
from se_viz.networks import Network
from se_viz.runtime import line_of


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


@torch.inference_mode()
def analyse(
    network: Network,
    image: Image.Image,
    *,
    keep_features: Collection[str] = (),
    watch: Watch = lambda _: None,
) -> Analysis:
    """Run an image through a network and capture every gate; blocks named in ``keep_features`` keep U too.

    The pass waits for its turn on the device, and meanwhile calls ``watch`` with how many are before it.

    Raises:
        NoSEBlocksError: ``keep_features`` names no SE block.
        BusyError: too many wait for the device.
        DeviceError: the device has too little memory for it.
    """
    inputs = network.preprocess(image)
    blocks = {site.block for site in network.inspection.sites}
    try:
        with (
            line_of(network.device).turn(watch),
            capture_gates(network.model, keep_features=keep_features, blocks=blocks) as records,
        ):
            logits = network.model(inputs)
            return Analysis(logits[0].float().softmax(0).cpu(), tuple(records))
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"{network.device} has too little memory left for {network.card.title}. "
            "Choose a smaller network, or the device cpu."
        ) from error
