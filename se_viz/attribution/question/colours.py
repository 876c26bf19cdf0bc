"""From values of every colour to one map."""

from torch import Tensor


def collapse(values: Tensor, channels: str) -> Tensor:
    """Turn (1, colours, height, width) into (height, width)."""
    if channels == "max":
        return values[0].abs().amax(0)
    return values[0].sum(0) if channels == "sum" else values[0].mean(0)
