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
    network: Network, inputs: Float[Tensor, "1 3 height width"], count: int
) -> Int[Tensor, "1 1 height width"]:
    """Number each pixel's superpixel from 0 on: about ``count`` of them, connected, by SLIC on the
    photo's colours.

    Achanta et al., IEEE TPAMI 34 (2012), as scikit-image does it, in CIELAB; the same photo, the
    same patches.

    Raises:
        AttributionError: there is only one.
    """
    mean, std = (
        torch.tensor(values).view(3, 1, 1) for values in (network.card.mean, network.card.std)
    )
    # The photo's own colours again: SLIC measures distances between colours as people see them.
    colours = (inputs[0].detach().cpu() * std + mean).clamp(0, 1)
    photo = colours.permute(1, 2, 0).float().contiguous()
    patches, labels = _divide(photo.numpy().tobytes(), tuple(photo.shape), count)
    if patches < 2:
        raise AttributionError(
            "This photo falls into a single patch of like colour, so that none can be compared "
            "with another. Choose occlusion, which covers squares, or choose more superpixels."
        )
    return torch.tensor(labels, device=inputs.device).reshape(1, 1, *photo.shape[:2])


# A function of these pixels alone, which several methods ask for one after another; 0.6 MB each.
@lru_cache(maxsize=8)
def _divide(pixels: bytes, shape: tuple[int, ...], count: int) -> tuple[int, np.ndarray]:
    """Return how many patches there are, and the number of each pixel's."""
    photo = np.frombuffer(pixels, np.float32).reshape(shape)
    # Smoothed by one pixel: grain would otherwise leave no patch large enough to stay on its own.
    patches, labels = np.unique(
        slic(photo, n_segments=count, sigma=1, start_label=0), return_inverse=True
    )
    return len(patches), labels
