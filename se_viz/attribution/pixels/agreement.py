"""How far two maps of one image agree, also of two networks and of two resolutions."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from se_viz.attribution.pixels.repeats import correlate

STRONGEST = 0.1
"""Share of a map's places that are its strongest ones."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two maps agree."""

    correlation: float
    """Correlation over all places, -1 to 1."""
    overlap: float
    """Places that are among the strongest of both, as a share of those that are among the strongest
    of either (intersection over union), 0 to 1."""


def compare_maps(
    first: Float[Tensor, "*sides"], second: Float[Tensor, "*others"]
) -> Agreement | None:
    """Compare two maps of the same part of an image, on the coarser grid of both.

    None where one has the same value everywhere. A map's strongest places are the tenth of it with
    the largest magnitudes; two random maps share a nineteenth of them.
    """
    sides = [min(pair) for pair in zip(first.shape, second.shape, strict=True)]
    maps = [_coarsen(values, sides) for values in (first, second)]
    correlation = correlate(maps[0], maps[1])
    if correlation is None:
        return None
    both, either = (
        operation(*map(_strongest, maps)).sum().item()
        for operation in (torch.logical_and, torch.logical_or)
    )
    return Agreement(correlation, both / either)


def _coarsen(values: Tensor, sides: list[int]) -> Tensor:
    """Return means of a map's places on a grid of so many."""
    if list(values.shape) == sides:
        return values
    return functional.interpolate(values[None, None], size=sides, mode="area")[0, 0]


def _strongest(values: Tensor) -> Tensor:
    magnitudes = values.flatten().abs()
    marks = torch.zeros_like(magnitudes, dtype=torch.bool)
    marks[magnitudes.topk(max(1, round(STRONGEST * len(magnitudes)))).indices] = True
    return marks
