"""Maps that know nothing of the network: what a map has to beat.

Why: docs/decisions/022-scores-beside-controls.md
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

CONTROLS = {
    "pixels": "Random pixels",
    "patches": "Random patches",
    "blob": "Centred blob",
}
"""Every control, by key: noise as fine as a gradient's, noise as coarse as a late stage's, and no
noise."""

_CELLS = 8
_REACH = 0.5


def make_controls(
    height: int, width: int, *, repeats: int, seed: int = 0
) -> dict[str, tuple[Tensor, ...]]:
    """Return the maps of each control, (height, width) each: ``repeats`` draws of the random ones,
    one blob.
    """
    generator = torch.Generator().manual_seed(seed)
    # One generator for both: what is drawn depends on the order below.
    size = (height, width)
    return {
        "pixels": tuple(torch.rand(size, generator=generator) for _ in range(repeats)),
        "patches": tuple(_draw_patches(size, generator) for _ in range(repeats)),
        "blob": (draw_blob(height, width),),
    }


def draw_blob(height: int, width: int) -> Float[Tensor, "height width"]:
    """Return a Gaussian in the middle of the image, whose standard deviation is a quarter of its
    sides.
    """
    down, right = (torch.linspace(-1, 1, side) / _REACH for side in (height, width))
    return torch.exp(-(down[:, None] ** 2 + right[None] ** 2) / 2)


def _draw_patches(size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Return noise on a coarse grid, enlarged as the map of a late stage is."""
    cells = torch.rand((1, 1, _CELLS, _CELLS), generator=generator)
    return F.interpolate(cells, size, mode="bilinear")[0, 0]
