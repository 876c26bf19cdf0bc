"""The heat map that a block's gates make by themselves, and one that asks for a class as well."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from se_viz.attribution.question import LayerAttribution
from se_viz.errors import AttributionError

USUAL_Z = 1.282
"""Standard deviations above the mean: one in ten of normally distributed gates lies beyond."""


@dataclass(frozen=True, slots=True)
class SEVector:
    """The channels that a block has let through most for one image."""

    mask: Bool[Tensor, "channels"]
    """Which channels these are: gate > threshold."""
    threshold: float
    """Mean of the block's gates plus Z of their standard deviations."""
    map: Float[Tensor, "*sides"]
    """Mean of these channels of X~, in units of the feature map; it may be negative where X~ is."""


def select_channels(
    gates: Float[Tensor, "channels"], z: float = USUAL_Z
) -> tuple[Bool[Tensor, "channels"], float]:
    """Mark the channels whose gate is above mean + ``z`` x standard deviation, and return that
    threshold.

    The standard deviation is the population's: a block's gates for one image are all there are, not
    a sample of more. So it is in the authors' own code for such maps (github.com/Tiago-Roxo/BIAS,
    NumPy's ``std`` and a strict >); the sample's would lift Z by a factor of sqrt(C / (C - 1)),
    1.0005 for 1,024. Source: arXiv 2412.05134.

    Raises:
        AttributionError: no gate is above it.
    """
    # In double precision: a gate at the threshold must not pass by rounding.
    exact = gates.double()
    threshold = (exact.mean() + z * exact.std(correction=0)).item()
    mask = exact > threshold
    if not mask.any():
        raise AttributionError(
            f"No channel passes: the widest gate of this block is {exact.max().item():.3f}, and "
            f"mean + {z:g} standard deviations is {threshold:.3f}. Choose a smaller Z, or another "
            "block."
        )
    return mask, threshold


def make_se_vector(
    gates: Float[Tensor, "channels"],
    features: Float[Tensor, "channels *sides"],
    z: float = USUAL_Z,
) -> SEVector:
    """Average those channels of X~ = s U whose gate stands out; no gradient, no class.

    Source: arXiv 2412.05134.

    The authors' code averages the maps as they leave the block too, each times its gate, and
    enlarges them bicubically; here maps are enlarged bilinearly, like all others. The paper puts
    one SE block before the classifier; here any block of a network can be asked.

    Raises:
        AttributionError: no gate stands out.
    """
    mask, threshold = select_channels(gates, z)
    return SEVector(
        mask, threshold, (gates.view(-1, *[1] * (features.ndim - 1)) * features)[mask].mean(0)
    )


def weigh_by_class(vector: SEVector, attribution: LayerAttribution) -> Float[Tensor, "*sides"]:
    """Average the same channels, each times its Grad-CAM weight, and keep what is positive.

    ``attribution`` is Grad-CAM on X~ of the same block: the weight is the mean gradient of what is
    explained by the cells of X~. The map is ReLU(mean of weight x X~ over the kept channels). This
    variant is ours, not the paper's.
    """
    return attribution.values[vector.mask].mean(0).clamp_min(0)
