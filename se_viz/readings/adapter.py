"""A network whose answer is read as numbers: the model's own modules, and another last step.

Why: docs/decisions/048-an-answer-is-read.md
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from se_viz.readings.kinds import Reading, Region


@dataclass(frozen=True, slots=True)
class Place:
    """Something that a network finds in an image: where an answer may be read."""

    index: int
    """Index of its class."""
    share: float
    """Score of a box; share of the image that an area covers."""
    region: Region
    """The rectangle around it."""


@runtime_checkable
class Reader(Protocol):
    """How one kind of answer is read at one place."""

    @property
    def kind(self) -> str:
        """One of ``KINDS``."""
        ...

    def __call__(self, model: nn.Module, inputs: Tensor) -> Float[Tensor, "batch numbers"]:
        """Run a model and read its answer, differentiably."""
        ...

    def show(self, model: nn.Module, inputs: Tensor) -> Any:
        """Return the answer that is read, as the model gives it."""
        ...

    def move(self, model: nn.Module, at: Reading, beside: Tensor | None) -> "Reader":
        """Return what reads at another place; ``beside`` is the second image's input."""
        ...

    def find(self, model: nn.Module, inputs: Tensor) -> tuple[Place, ...]:
        """Return what a model finds in one image, the strongest or largest first."""
        ...


class Answering(nn.Module):
    """A model whose answer is read as (batch, numbers).

    It has the tables of modules and weights of the model itself, so that a block has the same path
    in both, what is replaced in one is replaced in the other, and copies, moves and hooks go as
    with the model. Several of them may read one model at different places.
    """

    def __init__(self, model: nn.Module, reader: Reader) -> None:
        super().__init__()
        self._parameters = model._parameters
        self._buffers = model._buffers
        self._non_persistent_buffers_set = model._non_persistent_buffers_set
        self._modules = model._modules
        self.training = model.training
        # In a tuple: as a child, the model would be a step of every path. And under a name that no
        # child has, which all share this object's attributes.
        self._se_viz_held = (model, reader)

    def forward(self, inputs: Tensor) -> Float[Tensor, "batch numbers"]:
        """Run the model, and read its answer."""
        model, reader = self._se_viz_held
        # Modes are set module by module, and the model itself is none of them.
        model.training = self.training
        return reader(model, inputs)


def model_inside(model: nn.Module) -> nn.Module:
    """Return the model whose answer is read; of any other one itself."""
    return model._se_viz_held[0] if isinstance(model, Answering) else model


def reader_of(model: nn.Module) -> Reader | None:
    """Return what reads a model's answer; None where it returns logits itself."""
    return model._se_viz_held[1] if isinstance(model, Answering) else None


def read_elsewhere(model: Answering, at: Reading, beside: Tensor | None = None) -> Answering:
    """Return the same model, read at another place; ``beside`` is the input of a second image."""
    inner, reader = model._se_viz_held
    return Answering(inner, reader.move(inner, at, beside))
