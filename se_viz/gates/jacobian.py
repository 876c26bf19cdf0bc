"""Who turns whom up: how each gate of a block answers to each squeeze, exactly, and an order to
see it in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from se_viz.errors import ExcitationError
from se_viz.gates.alone import excite, find_place
from se_viz.gates.places import Place
from se_viz.gates.records import GateRecord

_TOGETHER = 256


@dataclass(frozen=True, slots=True)
class Pattern:
    """The strongest pattern of a Jacobian: its first singular vectors, as an order of rows and of
    columns.
    """

    rows: Int[Tensor, "channels"]
    """Gates, from one end of the left singular vector to the other."""
    columns: Int[Tensor, "channels"]
    """Squeezes, from one end of the right singular vector to the other."""
    share: float
    """Part of all squared entries that this one pattern makes up, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Strongest:
    """The part of a Jacobian that holds its strongest rows and columns."""

    rows: Int[Tensor, "rows"]
    """Gates that answer most, the strongest first."""
    columns: Int[Tensor, "columns"]
    """Squeezes that move gates most, the strongest first."""
    values: Float[Tensor, "rows columns"]
    """Their entries, exactly."""


def gate_jacobian(
    model: nn.Module, record: GateRecord, *, image: int = 0, channels: Sequence[int] | None = None
) -> Float[Tensor, "rows channels"]:
    """Return ds_c / dz_k of a block for one captured image: a row a gate, a column a squeeze.

    float32 on the CPU; gate per unit of the feature map. By automatic differentiation through the
    block's own modules, so that it holds for every spelling: for the paper's form it is
    sigma'(W2 h + b2) W2 diag(delta'(W1 z + b1)) W1. ``channels`` asks for some rows alone. It tells
    what a small change of one squeeze would do to a gate, all others held. The model is left as it
    was, without gradients.

    Raises:
        NoSEBlocksError: the model has no such block.
        ExcitationError: the block has no channel of a number in ``channels``.
    """
    place = find_place(model, record)
    squeeze = record.squeeze[image]
    rows = range(len(squeeze)) if channels is None else channels
    if any(channel not in range(len(squeeze)) for channel in rows):
        raise ExcitationError(
            f"{record.name} has the channels 0 to {len(squeeze) - 1}, not all of {[*rows]}. "
            "Choose among these."
        )
    # Inference mode of the caller would keep gradients off, whatever else is set.
    with torch.inference_mode(False), torch.enable_grad():
        return torch.cat(
            [
                _rows(model, record, place, squeeze[None], chunk)
                for chunk in torch.tensor([*rows]).split(_TOGETHER)
            ]
        )


def _rows(
    model: nn.Module, record: GateRecord, place: Place, squeeze: Tensor, rows: Tensor
) -> Tensor:
    """Return some rows by one backward pass: each row of a batch of equal squeezes answers for one
    gate.
    """
    batch = squeeze.repeat(len(rows), 1).requires_grad_()
    gates = excite(model, record, place, batch)
    (slopes,) = torch.autograd.grad(
        gates[torch.arange(len(rows)), rows.to(gates.device)].sum(), batch
    )
    return slopes


def find_pattern(jacobian: Float[Tensor, "channels channels"]) -> Pattern:
    """Order gates and squeezes so that those that act alike stand together.

    The order is that of the first singular vectors, larger entries first, with the sign that leaves
    most gates above 0. A Jacobian of zeros keeps the order of its channels.
    """
    if not jacobian.any():
        order = torch.arange(len(jacobian))
        return Pattern(order, order, 0.0)
    # Of the square, whose eigenvectors take a quarter of the time of all singular vectors.
    squares, vectors = torch.linalg.eigh(jacobian.T @ jacobian)
    right = vectors[:, -1]
    left = jacobian @ right
    sign = 1.0 if left.sum() >= 0 else -1.0
    rows, columns = (
        (sign * vector).argsort(descending=True, stable=True) for vector in (left, right)
    )
    return Pattern(rows, columns, (squares[-1] / squares.sum()).item())


def find_strongest(jacobian: Float[Tensor, "channels channels"], most: int) -> Strongest:
    """Return the gates and the squeezes with the largest entries all in all: the largest sums of
    squares.
    """
    squares = jacobian.square()
    rows, columns = (
        squares.sum(axis).argsort(descending=True, stable=True)[:most] for axis in (1, 0)
    )
    return Strongest(rows, columns, jacobian[rows][:, columns])


def average_cells(
    values: Float[np.ndarray, "rows columns"], most: int
) -> Float[np.ndarray, "cells cells"]:
    """Return the means of a square matrix over at most ``most`` x ``most`` cells of nearly equal
    size.
    """
    edges = np.linspace(0, len(values), min(most, len(values)) + 1).round().astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(values.astype(np.float64), edges, axis=0), edges, axis=1)
    sizes = np.diff([*edges, len(values)])
    return sums / np.outer(sizes, sizes)
