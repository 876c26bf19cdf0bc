"""Baselines: the pictures without the object that methods compare an image with."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from skimage.filters import gaussian
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from se_viz.errors import AttributionError
from se_viz.networks import Network

_BLUR = 16
_SEED = 0
_SPREAD = 0.2


@dataclass(frozen=True, slots=True)
class Baseline:
    """One kind of picture to compare with."""

    key: str
    """Name in calls."""
    title: str
    """Name for people."""
    sentence: str
    """What it is, and what it hides."""
    paint: Callable[[Network, Tensor], Tensor]
    """Makes it, of the network's inputs."""


def _mean(_: Network, inputs: Tensor) -> Tensor:
    return torch.zeros_like(inputs)


def _black(network: Network, inputs: Tensor) -> Tensor:
    return _normalise(network, torch.zeros_like(inputs))


def _blur(_: Network, inputs: Tensor) -> Tensor:
    blurred = [
        gaussian(image.cpu().numpy(), inputs.shape[-1] / _BLUR, channel_axis=0) for image in inputs
    ]
    return torch.stack([torch.as_tensor(image) for image in blurred]).to(inputs)


def _noise(network: Network, inputs: Tensor) -> Tensor:
    pixels = torch.rand(inputs.shape[1:], generator=torch.Generator().manual_seed(_SEED))
    return _normalise(network, pixels.to(inputs).expand_as(inputs))


def _normalise(network: Network, pixels: Tensor) -> Tensor:
    return transforms.normalize(pixels, list(network.card.mean), list(network.card.std))


BASELINES = {
    row.key: row
    for row in (
        Baseline(
            "mean",
            "Mean colour",
            "One colour, the mean of the training data: 0 after normalisation.",
            _mean,
        ),
        Baseline(
            "black",
            "Black",
            "A black picture; what is black in the photo can then get no share.",
            _black,
        ),
        Baseline(
            "blur",
            "Blurred photo",
            f"The photo itself, blurred by a {_BLUR}th of its side: colours stay, shapes and "
            "texture go.",
            _blur,
        ),
        Baseline(
            "noise",
            "Noise",
            "Each pixel a random colour, always the same; this picture has a logit of its own.",
            _noise,
        ),
    )
}
"""Every baseline, by key, in the order they are offered."""


def find_baseline(key: str) -> Baseline:
    """Return a baseline's row.

    Raises:
        AttributionError: there is no such baseline.
    """
    if key not in BASELINES:
        raise AttributionError(
            f"There is no baseline {key!r}. Choose one of: {', '.join(BASELINES)}."
        )
    return BASELINES[key]


def make_baseline(
    network: Network, inputs: Float[Tensor, "batch 3 height width"], key: str
) -> Float[Tensor, "batch 3 height width"]:
    """Return a baseline like ``inputs``, in the network's own normalisation.

    The same call, the same picture.

    Raises:
        AttributionError: there is no such baseline.
    """
    return find_baseline(key).paint(network, inputs.detach())


def scatter(
    baseline: Float[Tensor, "1 3 height width"], draws: int, *, seed: int = _SEED
) -> Float[Tensor, "draws 3 height width"]:
    """Return a baseline with normal noise of 0.2 on every value, drawn several times with a seed.

    Methods of the Shapley kind average over a distribution of baselines; this is one around what
    was chosen.
    """
    noise = torch.randn(draws, *baseline.shape[1:], generator=torch.Generator().manual_seed(seed))
    return baseline + _SPREAD * noise.to(baseline)
