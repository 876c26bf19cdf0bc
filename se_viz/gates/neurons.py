"""One gate as a function of images, with its gradient; the model runs no further than to it."""

from contextlib import suppress
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from se_viz.errors import CaptureError
from se_viz.gates.capture import read_pair
from se_viz.gates.choice import choose_blocks
from se_viz.gates.hooks import listening
from se_viz.gates.listeners import Listener, Visit


@dataclass(frozen=True, slots=True)
class Neuron:
    """One gate of a network, or what its gate function is given."""

    block: str
    """Name of the block's use, as in `GateSite.name`."""
    channel: int
    """Index of the channel, from 0."""
    logit: bool = False
    """Whether it is the value before the gate function (a sigmoid's pre-sigmoid value), which does
    not level off."""


class _ReachedError(Exception):
    """Ends a pass at the gate it was made for."""


def read_neuron(
    model: nn.Module, images: Float[Tensor, "batch channels *sides"], neuron: Neuron
) -> Float[Tensor, "batch"]:
    """Return one gate, or its pre-sigmoid value, for each image, in the block's precision and with
    its gradient.

    The pass ends at the gate: what comes after it does not run.

    Raises:
        NoSEBlocksError: the model has no such SE block, or it is compiled.
        CaptureError: the block is not used so often, has no such channel, or its pre-sigmoid
            value cannot be read.
    """
    visit = _visit(model, images, neuron.block)
    _, gate = read_pair(visit)
    if not 0 <= neuron.channel < gate.shape[1]:
        raise CaptureError(
            f"{neuron.block} has no channel {neuron.channel}. Choose one from 0 to "
            f"{gate.shape[1] - 1}."
        )
    if not neuron.logit:
        return gate[:, neuron.channel]
    if visit.logit is None or visit.logit.numel() != gate.numel():
        raise CaptureError(
            f"{neuron.block} does not keep one value a channel before its gate function. Choose "
            "the gate itself, which can be read."
        )
    return visit.logit.reshape(gate.shape)[:, neuron.channel]


def _visit(model: nn.Module, images: Tensor, name: str) -> Visit:
    path, _, use = name.partition("#")
    visits: list[Visit] = []

    def see(visit: Visit) -> None:
        if visit.call == int(use or 1) - 1:
            visits.append(visit)
            raise _ReachedError

    with listening(Listener(model, choose_blocks(model, [path]), see=see)), suppress(_ReachedError):
        model(images)
    if not visits:
        raise CaptureError(
            f"No pass uses {name}. Choose a block among those that `find_gates` lists."
        )
    return visits[0]
