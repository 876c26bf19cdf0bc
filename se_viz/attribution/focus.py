"""How much of a photo a map's evidence takes."""

from jaxtyping import Float
from torch import Tensor


def find_focus(values: Float[Tensor, "height width"], part: float = 0.5) -> float | None:
    """Return the least share of a map's area, 0 to 1, that holds a ``part`` of the sum of its positive values.

    None where no value is positive.
    """
    positive = values.double().flatten().clamp_min(0).sort(descending=True).values
    total = positive.sum()
    if total <= 0:
        return None
    return (int((positive.cumsum(0) < part * total).sum()) + 1) / values.numel()
