"""What an attribution explains: one logit, or how far it leads another."""

import operator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.errors import AttributionError


def aim(index: Any, against: Any = None) -> "Target":
    """Return what is explained: a `Target` as it is, or the one of a class, and of the one that it
    is compared with.

    Raises:
        AttributionError: a class is no whole number.
    """
    if isinstance(index, Target):
        return index
    return Target(_read_number(index), None if against is None else _read_number(against))


def _read_number(value: Any) -> int:
    # True is a whole number to Python, and hardly meant for one.
    with suppress(TypeError):
        if not isinstance(value, bool):
            return operator.index(value)
    raise AttributionError(
        f"A class is given by its number, and {value!r} is none. Give a whole number from 0 on."
    )


@dataclass(frozen=True, slots=True)
class Target:
    """One number of the answer: a class's logit, or its difference to another's."""

    index: int
    """Index of the class that is explained."""
    against: int | None = None
    """Index of the class it is compared with ("why this and not that"); None: the logit alone."""

    def read(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch"]:
        """Return the number that is explained, one an image."""
        lead = logits[:, self.index]
        return lead if self.against is None else lead - logits[:, self.against]

    def check(self, count: int) -> None:
        """Refuse a class that is not among the first ``count``, and a class against itself.

        Raises:
            AttributionError: there is no such class, or both are the same.
        """
        for index in (self.index, self.against):
            if index is not None and not 0 <= index < count:
                raise AttributionError(
                    f"There is no class {index}: this network has 0 to {count - 1}. Choose one of "
                    "these."
                )
        if self.index == self.against:
            raise AttributionError(
                f"Class {self.index} does not differ from itself. Choose another class to compare "
                "it with, or none."
            )


class TargetModel(nn.Module):
    """A model that returns what is explained alone, as (batch, 1)."""

    def __init__(
        self, model: nn.Module, target: Target, dtype: torch.dtype = torch.float32
    ) -> None:
        """Take images of any precision, and give them to the model in ``dtype``: methods draw
        noise in float32.
        """
        super().__init__()
        self.model = model
        self.target = target
        self._dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        """Return one number an image."""
        return self.target.read(self.model(images.to(self._dtype)))[:, None]
