"""A map of few cells over a photo: brought to another size, and how much of the photo its evidence
takes.
"""

from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.question import enlarge_cells


def find_focus(values: Float[Tensor, "*sides"], part: float = 0.5) -> float | None:
    """Return the least share of a map's area, 0 to 1, that holds a ``part`` of the sum of its
    positive values.

    None where no value is positive.
    """
    positive = values.double().flatten().clamp_min(0).sort(descending=True).values
    total = positive.sum()
    if total <= 0:
        return None
    return (int((positive.cumsum(0) < part * total).sum()) + 1) / values.numel()


def enlarge(values: Float[Tensor, "*cells"], sides: tuple[int, ...]) -> Float[Tensor, "*sides"]:
    """Bring a map to other sides, linearly, as Captum does."""
    return enlarge_cells(values[None, None], sides)[0, 0]
