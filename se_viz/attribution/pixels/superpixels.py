"""Superpixels: patches of like colour, the features of methods that switch parts of a photo off."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from skimage.segmentation import slic
from torch import Tensor

from se_viz.errors import AttributionError
from se_viz.networks import Network


def find_superpixels(
    network: Network, inputs: Float[Tensor, "1 channels *sides"], count: int
) -> Int[Tensor, "1 1 *sides"]:
    """Number each pixel's superpixel from 0 on: about ``count`` of them, connected, by SLIC on the
    photo's colours.

    Achanta et al., IEEE TPAMI 34 (2012), as scikit-image does it, in CIELAB; the same photo, the
    same patches. Of another input the patches are of like values, from 0 to 1 in each channel; of a
    signal they are pieces of equal length.

    Raises:
        AttributionError: there is only one.
    """
    values = inputs[0].detach().cpu()
    if network.sees_photos:
        mean, std = (
            torch.tensor(values).view(3, 1, 1) for values in (network.card.mean, network.card.std)
        )
        # The photo's own colours again: SLIC measures distances between colours as people see them.
        values = (values * std + mean).clamp(0, 1)
    content = values.movedim(0, -1).float().contiguous()
    patches, labels = _divide(
        content.numpy().tobytes(), tuple(content.shape), count, network.sees_photos
    )
    if patches < 2:
        raise AttributionError(
            "This photo falls into a single patch of like colour, so that none can be compared "
            "with another. Choose occlusion, which covers squares, or choose more superpixels."
        )
    return torch.tensor(labels, device=inputs.device).reshape(1, 1, *content.shape[:-1])


# A function of these pixels alone, which several methods ask for one after another; 0.6 MB each.
@lru_cache(maxsize=8)
def _divide(
    pixels: bytes, shape: tuple[int, ...], count: int, colours: bool
) -> tuple[int, np.ndarray]:
    """Return how many patches there are, and the number of each pixel's."""
    values = np.frombuffer(pixels, np.float32).reshape(shape)
    if len(shape) == 2:
        pieces = min(count, shape[0])
        return pieces, np.arange(shape[0]) * pieces // shape[0]
    settings = {}
    if not colours:
        sides = tuple(range(len(shape) - 1))
        low, high = (of(axis=sides) for of in (values.min, values.max))
        values = (values - low) / np.maximum(high - low, 1e-12)
        settings = {"convert2lab": False, "compactness": 0.1}
    # Smoothed by one pixel: grain would otherwise leave no patch large enough to stay on its own.
    patches, labels = np.unique(
        slic(values, n_segments=count, sigma=1, start_label=0, channel_axis=-1, **settings),
        return_inverse=True,
    )
    return len(patches), labels
