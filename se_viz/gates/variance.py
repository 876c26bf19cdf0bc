"""How much of the variance of gates lies between images, estimated without bias, with its
interval.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.special import stdtrit
from torch import Tensor

LEVEL = 0.9
"""Level of the interval: at either end one in twenty lies beyond it."""
FEWEST = 3
"""Images below which there is no interval."""

# Log odds of a share of exactly 0 or 1 are not finite.
_EDGE = 1e-6


@dataclass(frozen=True, slots=True)
class ImageShare:
    """The share of the gates' variance that is between images, 0 to 1."""

    value: float
    """The estimate."""
    low: float | None
    """Lower end of its interval at `LEVEL`; None for fewer than `FEWEST` images."""
    high: float | None
    """Upper end of that interval."""


def estimate_image_share(gate: Float[Tensor, "images channels"]) -> ImageShare | None:
    """Estimate how much of the variance of gates is between images: 1 - omega squared, the channel
    as factor.

    Two parts make up the whole: the variance of a channel's gate over images, and the variance of
    the channels' means. Both are estimated without bias, so that the share does not depend on the
    number of images: few images show too little of the first, and their scatter is added to the
    second. The interval is a jackknife over images on the scale of log odds, with Student's
    quantile. None for one image, or where all gates are equal. Source: Searle, Casella and
    McCulloch, Variance Components (1992), chapter 3; Efron and Stein, Annals of Statistics 9
    (1981), for the jackknife.
    """
    images = len(gate)
    if images < 2:
        return None
    gate = gate.double()
    means = gate.mean(0)
    rest = gate - means
    squares = rest.square().mean(1)
    # An image that moves all of its gates alike moves no channel's mean against another's.
    common = rest.mean(1).square()
    value = _share(images, squares.sum(), (squares - common).sum(), means.var(correction=0)).item()
    if math.isnan(value):
        return None
    if images < FEWEST:
        return ImageShare(value, None, None)
    # The same with each image left out: its deviations come back into sums and means in closed
    # form.
    factor = images / (images - 1)
    between = (means - rest / (images - 1)).var(1, correction=0)
    moving = (squares - common).sum() - factor * (squares - common)
    shares = _share(images - 1, squares.sum() - factor * squares, moving, between)
    return ImageShare(value, *_interval(value, shares))


def _share(images: int, within: Tensor, moving: Tensor, between: Tensor) -> Tensor:
    """Return the share, of sums of squares over images and the variance of the channels' means."""
    within = within / (images - 1)
    between = (between - moving / (images - 1) / images).clamp_min(0)
    return within / (within + between)


def _interval(value: float, shares: Tensor) -> tuple[float, float]:
    images = len(shares)
    odds = shares.nan_to_num(value).clamp(_EDGE, 1 - _EDGE).logit()
    error = math.sqrt((images - 1) * odds.var(correction=0).item())
    reach = float(stdtrit(images - 1, (1 + LEVEL) / 2)) * error
    middle = torch.tensor(value, dtype=torch.float64).clamp(_EDGE, 1 - _EDGE).logit()
    low, high = (middle + torch.tensor([-reach, reach], dtype=torch.float64)).sigmoid().tolist()
    return low, high
