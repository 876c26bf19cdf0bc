"""From values of every channel to one map, and from few cells to many."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

_INTERPOLATIONS = ("linear", "bilinear", "trilinear")


def collapse(values: Tensor, channels: str) -> Tensor:
    """Turn (1, channels, *sides) into (*sides)."""
    if channels == "max":
        return values[0].abs().amax(0)
    return values[0].sum(0) if channels == "sum" else values[0].mean(0)


def enlarge_cells(
    values: Float[Tensor, "batch channels *cells"], sides: tuple[int, ...]
) -> Float[Tensor, "batch channels *sides"]:
    """Bring maps of one, two or three dimensions to other sides, linearly, as Captum does."""
    return F.interpolate(values, sides, mode=_INTERPOLATIONS[len(sides) - 1])
