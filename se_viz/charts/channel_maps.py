"""Channels of one block before and after scaling as plain numbers, for canvases in the browser.

`draw_channels` draws the same pairs with Plotly.

Why: docs/decisions/025-gates-on-the-screen.md
"""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from se_viz.charts.palettes import Palette
from se_viz.charts.scales import encode, fit_span

ROWS = ("before", "after")
"""What stands beside the two rows of maps."""


def lay_out_channels(
    features: np.ndarray, gates: np.ndarray, channels: Sequence[int], palette: Palette
) -> dict[str, Any]:
    """Return all that a browser needs to paint chosen channels of one block.

    The arguments are those of `draw_channels`. Maps are sent as the codes of `encode`, a byte a
    pixel: of each channel the map before scaling, then the one after.
    """
    pairs = [encode_pair(features, gates, channel) for channel in channels]
    return {
        "channels": [int(channel) for channel in channels],
        "gates": [f"{gates[channel]:.2f}" for channel in channels],
        "rows": ROWS,
        "shape": features.shape[1:],
        "codes": base64.b64encode(np.stack(pairs).tobytes()).decode(),
        "colours": {
            "scale": palette.diverging,
            "clipped": [palette.clipped_low, palette.clipped_high],
            "page": palette.page,
        },
    }


def encode_pair(features: np.ndarray, gates: np.ndarray, channel: int) -> np.ndarray:
    """Return the codes of a channel's map before and after scaling by its gate, stacked.

    Both share one scale, symmetric about 0, so that only the gate changes the colour.
    """
    pair = np.stack([features[channel], features[channel] * gates[channel]])
    # A channel apart: shared by all, the scale would leave the weak ones without colour.
    return encode(pair, fit_span(pair, signed=True, keep=1.0))
