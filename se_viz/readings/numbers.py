"""Embeddings and values: numbers that are no probabilities."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from se_viz.errors import NetworkError
from se_viz.readings.adapter import Place
from se_viz.readings.kinds import Reading


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The cosine similarity of an embedding to that of a second image, from -1 to 1.

    The second image's embedding is that of the network as it is, and stays while gates change.
    Without a second image it is that of zeros, the mean colour.
    """

    other: Float[Tensor, "1 dimensions"] | None = None
    pick: Callable[[Any], Any] | None = None
    """Code of one's own that picks the embedding of an answer."""

    @property
    def kind(self) -> str:
        """``embedding``."""
        return "embedding"

    def __call__(self, model: nn.Module, inputs: Tensor) -> Float[Tensor, "batch 1"]:
        """Return the similarity of each image."""
        values = self.show(model, inputs)
        other = values.detach()[:1] if self.other is None else self.other.to(values)
        return F.cosine_similarity(values, other)[:, None]

    def show(self, model: nn.Module, inputs: Tensor) -> Float[Tensor, "batch dimensions"]:
        """Return the embeddings.

        Raises:
            NetworkError: the answer holds none.
        """
        return _flatten(self.pick, model, inputs, "an embedding", "(batch, dimensions)")

    @torch.no_grad()
    def move(self, model: nn.Module, at: Reading, beside: Tensor | None) -> "Embedding":
        """Return the similarity to another image, which runs once for it."""
        return self if beside is None else replace(self, other=self.show(model, beside))

    def find(self, model: nn.Module, inputs: Tensor) -> tuple[Place, ...]:
        """Return nothing: an embedding is of the whole image."""
        return ()


@dataclass(frozen=True, slots=True)
class Values:
    """Numbers as a network, or code of one's own, returns them: a regression, or logits."""

    kind: str = "value"
    """``value``, or ``classes`` where they are logits."""
    pick: Callable[[Any], Any] | None = None
    """Code of one's own that makes (batch, numbers) of an answer."""

    def __call__(self, model: nn.Module, inputs: Tensor) -> Float[Tensor, "batch numbers"]:
        """Return the numbers."""
        return self.show(model, inputs)

    def show(self, model: nn.Module, inputs: Tensor) -> Float[Tensor, "batch numbers"]:
        """Return the numbers.

        Raises:
            NetworkError: there are none.
        """
        return _flatten(self.pick, model, inputs, "a value", "(batch, numbers)")

    def move(self, model: nn.Module, at: Reading, beside: Tensor | None) -> "Values":
        """Return itself: a value is of the whole image."""
        return self

    def find(self, model: nn.Module, inputs: Tensor) -> tuple[Place, ...]:
        """Return nothing: a value is of the whole image."""
        return ()


def _flatten(
    pick: Callable[[Any], Any] | None, model: nn.Module, inputs: Tensor, what: str, shape: str
) -> Tensor:
    answer = model(inputs)
    answer = pick(answer) if pick else answer
    if isinstance(answer, Tensor) and answer.numel() and len(answer) == len(inputs):
        values = answer.flatten(1) if answer.ndim > 1 else answer[:, None]
        # Sides of 1 hold nothing else; of longer ones nobody knows which number is meant.
        if values.is_floating_point() and max(answer.shape[2:], default=1) == 1:
            return values
    found = tuple(answer.shape) if isinstance(answer, Tensor) else f"a {type(answer).__name__}"
    raise NetworkError(
        f"{type(model).__name__} returns {found}, and {what} is read of {shape} floating-point "
        "numbers. Choose another answer, or name code that picks them: file.py:callable."
    )
