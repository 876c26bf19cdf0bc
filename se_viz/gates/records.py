"""The values that finding and capturing leave behind."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class GateSite:
    """One SE block of a model, as found on a first forward pass."""

    block: str
    """Dotted path inside the model, e.g. ``layer3.2.bn3.1``."""
    stage: int
    """log2 of the stride of the block's input: 2 for a quarter of the image's side, 5 for a thirty-second."""
    channels: int
    """Number of gates for one image, the paper's C."""
    function: str
    """Name of the module that makes the gate, e.g. ``Sigmoid``."""


@dataclass(frozen=True, slots=True)
class GateRecord:
    """One SE block seen on one batch. The block multiplied its input by `gate`."""

    block: str
    """Dotted path inside the model, e.g. ``layer3.2.bn3.1``."""
    stage: int
    """log2 of the stride of the block's input: 2 for a quarter of the image's side, 5 for a thirty-second."""
    squeeze: Float[Tensor, "batch channels"]
    """Spatial mean of each channel, in the units of the feature map; float32 on the CPU."""
    gate: Float[Tensor, "batch channels"]
    """Multiplier given to each channel; float32 on the CPU."""
    features: Float[Tensor, "batch channels height width"] | None = None
    """The block's input U where it was asked for, else None; ``gate * features`` is the block's output."""
