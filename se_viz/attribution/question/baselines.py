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
    other: tuple[str, str]
    """Both for inputs that are no photos."""
    paint: Callable[[Network, Tensor], Tensor]
    """Makes it, of the network's inputs."""

    def name(self, *, photos: bool) -> str:
        """Return what to call it, for photos or other inputs."""
        return self.title if photos else self.other[0]

    def describe(self, *, photos: bool) -> str:
        """Return what it is, for photos or other inputs."""
        return self.sentence if photos else self.other[1]


def _mean(network: Network, inputs: Tensor) -> Tensor:
    if network.sees_photos or network.card.mean:
        return torch.zeros_like(inputs)
    axes = tuple(range(2, inputs.ndim))
    return inputs.mean(axes, keepdim=True).expand_as(inputs).clone()


def _black(network: Network, inputs: Tensor) -> Tensor:
    if not network.sees_photos:
        return torch.full_like(inputs, inputs.min().item())
    return _normalise(network, torch.zeros_like(inputs))


def _blur(_: Network, inputs: Tensor) -> Tensor:
    reach = [side / _BLUR for side in inputs.shape[2:]]
    # One deviation a side, which its annotation does not know.
    blurred = [
        gaussian(image.cpu().numpy(), reach, channel_axis=0)  # pyright: ignore
        for image in inputs
    ]
    return torch.stack([torch.as_tensor(image) for image in blurred]).to(inputs)


def _noise(network: Network, inputs: Tensor) -> Tensor:
    values = torch.rand(inputs.shape[1:], generator=torch.Generator().manual_seed(_SEED))
    values = values.to(inputs).expand_as(inputs)
    if not network.sees_photos:
        low, high = inputs.aminmax()
        return low + (high - low) * values
    return _normalise(network, values)


def _normalise(network: Network, pixels: Tensor) -> Tensor:
    return transforms.normalize(pixels, list(network.card.mean), list(network.card.std))


BASELINES = {
    row.key: row
    for row in (
        Baseline(
            "mean",
            "Mean colour",
            "One colour, the mean of the training data: 0 after normalisation.",
            ("Mean value", "One value a channel: the mean of the training data, or of this input."),
            _mean,
        ),
        Baseline(
            "black",
            "Black",
            "A black picture; what is black in the photo can then get no share.",
            ("Lowest value", "The lowest value of this input; where it stands no share can be."),
            _black,
        ),
        Baseline(
            "blur",
            "Blurred photo",
            f"The photo itself, blurred by a {_BLUR}th of its side: colours stay, shapes and "
            "texture go.",
            ("Blurred input", f"The input itself, blurred by a {_BLUR}th of each side."),
            _blur,
        ),
        Baseline(
            "noise",
            "Noise",
            "Each pixel a random colour, always the same; this picture has a logit of its own.",
            ("Noise", "Random values between this input's lowest and highest, always the same."),
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
    network: Network, inputs: Float[Tensor, "batch channels *sides"], key: str
) -> Float[Tensor, "batch channels *sides"]:
    """Return a baseline like ``inputs``, in the network's own normalisation.

    The same call, the same picture.

    Raises:
        AttributionError: there is no such baseline.
    """
    return find_baseline(key).paint(network, inputs.detach())


def scatter(
    baseline: Float[Tensor, "1 channels *sides"], draws: int, *, seed: int = _SEED
) -> Float[Tensor, "draws channels *sides"]:
    """Return a baseline with normal noise of 0.2 on every value, drawn several times with a seed.

    Methods of the Shapley kind average over a distribution of baselines; this is one around what
    was chosen.
    """
    noise = torch.randn(draws, *baseline.shape[1:], generator=torch.Generator().manual_seed(seed))
    return baseline + _SPREAD * noise.to(baseline)
