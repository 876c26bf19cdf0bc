"""Options that no method can run with: numbers below 1, and more passes or images at once than anybody has room for."""

from collections.abc import Mapping
from math import prod
from typing import Any

from torch import Tensor

from se_viz.attribution.methods import Method
from se_viz.errors import AttributionError

MOST_STEPS = 2_000
"""Steps of Integrated Gradients: the nodes of its quadrature are found in cubic time."""
MOST_PASSES = 200_000
MOST_BYTES = 4 << 30
"""Of inputs that lie in memory at once, before the network makes anything of them."""


def check_settings(row: Method, settings: Mapping[str, Any], inputs: Tensor) -> None:
    """Refuse numbers that a method would fail with, or never end.

    Raises:
        AttributionError: a whole number below 1, or a number too large.
    """
    for name, value in settings.items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int) and name != "seed" and not isinstance(number, bool) and number < 1:
                raise AttributionError(f"{row.title} cannot run with {name}={value!r}. Choose 1 or more.")
    passes, _ = row.passes(settings, side=inputs.shape[-1])
    if passes > MOST_PASSES or settings.get("n_steps", 1) > MOST_STEPS:
        raise AttributionError(
            f"{row.title} would run the network {passes:,} times, and the most here is {MOST_PASSES:,} passes and "
            f"{MOST_STEPS:,} steps. Lower {_names(row)}."
        )
    together = settings.get(row.piece) or prod(settings.get(name, 1) for name in row.repeats)
    if (size := together * inputs.numel() * inputs.element_size()) > MOST_BYTES:
        raise AttributionError(
            f"{row.title} would hold {together:,} copies of the image at once, {size / 1e9:.0f} GB, and the most is "
            f"{MOST_BYTES / 1e9:.0f} GB. Lower {row.piece or _names(row)}."
        )


def _names(row: Method) -> str:
    return " or ".join(row.repeats) or "the number of windows: larger strides"
