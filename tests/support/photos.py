"""Photos that tests are about, and no more: what another process needs too."""

import numpy as np
from PIL import Image


def noise(seed: int = 3) -> Image.Image:
    """Return coloured noise of the network's own size, so that nothing has to scale it."""
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    )
