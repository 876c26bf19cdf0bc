"""Where a channel is strongest: the highest cells of its feature map, none of them neighbours."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Peak:
    """One cell of a feature map that no neighbour exceeds."""

    row: int
    """Its row, from 0 at the top."""
    column: int
    """Its column, from 0 at the left."""
    value: float
    """Its value, in the units of the feature map."""


def find_peaks(features: Float[Tensor, "height width"], count: int) -> tuple[Peak, ...]:
    """Return the highest local maxima of one channel's map, highest first, ``count`` at most.

    A cell counts if none of its up to eight neighbours is higher; a map that is the same everywhere
    has no peak.
    """
    highest = F.max_pool2d(features[None], 3, stride=1, padding=1)[0]
    lowest = -F.max_pool2d(-features[None], 3, stride=1, padding=1)[0]
    rows, columns = ((features == highest) & (features > lowest)).nonzero(as_tuple=True)
    values = features[rows, columns]
    best = values.argsort(descending=True, stable=True)[:count]
    return tuple(
        Peak(int(rows[index]), int(columns[index]), float(values[index])) for index in best
    )
