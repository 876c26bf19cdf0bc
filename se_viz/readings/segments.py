"""Masks: the mean logit of each class over a region."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.errors import NetworkError
from se_viz.readings.adapter import Place
from se_viz.readings.kinds import Reading, Region

_LEAST = 0.01
"""Share of the image from which on an area is told."""


@dataclass(frozen=True, slots=True)
class Segments:
    """The mean logit of each class over a region of the mask, as Seg-Grad-CAM explains it.

    Vinogradova et al. (2020), arXiv 2002.11434, section 3, sum the logits of one class over a set
    of pixels; the mean is the same up to a factor, and its softmax says what the region is on the
    whole. It takes the ``out`` of torchvision's dictionaries, ``logits`` of others', or a tensor
    (batch, classes, height, width); a single channel is the yes or no of one class.
    """

    region: Region | None = None
    pick: Callable[[Any], Any] | None = None
    """Code of one's own that picks the mask of an answer."""

    @property
    def kind(self) -> str:
        """``segments``."""
        return "segments"

    def __call__(self, model: nn.Module, inputs: Tensor) -> Float[Tensor, "batch classes"]:
        """Return the mean of each class over the region."""
        maps = self.show(model, inputs)
        rows, columns = _cells(self.region, maps.shape[-2], maps.shape[-1])
        return maps[..., rows, columns].mean((-2, -1))

    def show(self, model: nn.Module, inputs: Tensor) -> Float[Tensor, "batch classes rows columns"]:
        """Return the mask.

        Raises:
            NetworkError: the answer is none.
        """
        answer = model(inputs)
        if self.pick:
            answer = self.pick(answer)
        elif isinstance(answer, Mapping):
            answer = next((answer[key] for key in ("out", "logits") if key in answer), answer)
        if isinstance(answer, Tensor) and answer.ndim == 4 and answer.numel():
            return answer
        found = tuple(answer.shape) if isinstance(answer, Tensor) else f"a {type(answer).__name__}"
        raise NetworkError(
            f"{type(model).__name__} returns {found}, and segments are read of a mask (batch, "
            "classes, height, width). Choose another answer, or name code that picks the mask: "
            "segments=file.py:callable."
        )

    def move(self, model: nn.Module, at: Reading, beside: Tensor | None) -> "Segments":
        """Return the same over another region."""
        return replace(self, region=at.region)

    @torch.no_grad()
    def find(self, model: nn.Module, inputs: Tensor) -> tuple[Place, ...]:
        """Return the area of each class that is most probable somewhere, the largest first."""
        maps = self.show(model, inputs)[0]
        # Of one channel, where it says yes.
        labels = maps.argmax(0) if len(maps) > 1 else (maps[0] < 0).long()
        places = (
            Place(index, (labels == index).float().mean().item(), _around(labels == index))
            for index in range(len(maps))
            if (labels == index).any()
        )
        large = [place for place in places if place.share >= _LEAST]
        return tuple(sorted(large, key=lambda place: -place.share))


def _cells(region: Region | None, height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns that a region touches: one at least."""
    left, top, right, bottom = region or (0.0, 0.0, 1.0, 1.0)
    return _span(top, bottom, height), _span(left, right, width)


def _span(start: float, end: float, count: int) -> slice:
    first = min(floor(start * count), count - 1)
    return slice(first, max(first + 1, ceil(end * count)))


def _around(mask: Tensor) -> Region:
    height, width = mask.shape
    rows = mask.any(1).nonzero()[:, 0]
    columns = mask.any(0).nonzero()[:, 0]
    return (
        columns[0].item() / width,
        rows[0].item() / height,
        (columns[-1].item() + 1) / width,
        (rows[-1].item() + 1) / height,
    )
