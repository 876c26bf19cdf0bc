"""Gates made anew while the model runs, of the feature maps that each block takes in."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.errors import EditError
from se_viz.gates.choice import choose_blocks
from se_viz.gates.edits import change_gate, changing
from se_viz.gates.formula import Formula, Function
from se_viz.gates.listeners import Listener, Visit
from se_viz.gates.products import plain
from se_viz.gates.records import use_name


@dataclass(frozen=True, slots=True, eq=False)
class Maker:
    """What makes a block's gates of its input in place of the block."""

    squeeze: str
    """``own``, ``mean``, ``max``, or ``none``: a gate for each place."""
    formula: Formula
    """The layers and functions that are used."""

    def excite(self, squeeze: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
        """Return gates of summaries, or of the channels of each place."""
        formula = self.formula
        kind = torch.promote_types(squeeze.dtype, torch.float32)
        weights = (formula.first.weight, formula.first.bias)
        more = (formula.second.weight, formula.second.bias)
        reduce, reduce_bias, expand, expand_bias = (
            value.to(squeeze.device, kind) for value in (*weights, *more)
        )
        hidden = _apply(formula.delta, squeeze.to(kind) @ reduce.T + reduce_bias)
        return _apply(formula.sigma, hidden @ expand.T + expand_bias)


@dataclass(frozen=True, slots=True)
class PlaceGates:
    """The gates of a block that has some for each place."""

    mean: Float[Tensor, "batch channels"]
    """Their mean over all places; float32 on the CPU."""
    places: int
    """Number of places."""


@contextmanager
def remake_gates(
    model: nn.Module, makers: Mapping[str, Maker | float]
) -> Iterator[Mapping[str, PlaceGates]]:
    """Let makers make the gates of some SE blocks in each forward pass, until the ``with`` block
    ends.

    ``makers`` gives for the path of a block what makes its gates, or what all of them are. Yields
    what blocks without a squeeze did, by the name of their use, filled by each pass. To a capture
    their gates are 1: they multiply their output anew at each place. Otherwise as `edit_gates`.

    Raises:
        NoSEBlocksError: as of `edit_gates`.
        EditError: as of `edit_gates`.
    """
    blocks = choose_blocks(model, makers.keys())
    done: dict[str, PlaceGates] = {}
    waiting: dict[str, Tensor] = {}

    def change(visit: Visit, gate: Tensor) -> Tensor:
        maker = makers[visit.place.path]
        if not isinstance(maker, Maker):
            return change_gate(partial(torch.full_like, fill_value=maker), visit, gate)
        # Whoever follows the functions of the pass must not meet these.
        with torch._C.DisableTorchFunction(), torch.autocast(gate.device.type, enabled=False):
            if maker.squeeze != "none":
                gates = maker.excite(_squeeze(visit, maker.squeeze))
                return change_gate(lambda before: gates.to(before.dtype), visit, gate)
            gates = maker.excite(_channels_last(visit))
        mean = gates.flatten(1, -2).mean(1).float().cpu()
        done[use_name(visit.place.path, visit.call)] = PlaceGates(mean, gates[0, ..., 0].numel())
        last = visit.place.row.channels_last
        waiting[visit.place.path] = gates if last else gates.movedim(-1, 1)
        return change_gate(torch.ones_like, visit, gate)

    listener = Listener(model, blocks, change=change)
    listener.give = {
        place.block: _multiply(place.path, waiting)
        for place in blocks.values()
        if isinstance(maker := makers[place.path], Maker) and maker.squeeze == "none"
    }
    with changing(listener):
        yield done


def _multiply(path: str, waiting: dict[str, Tensor]) -> Callable[[Any], Tensor]:
    def multiply(output: Any) -> Tensor:
        gates = waiting.pop(path, None)
        if gates is None or not isinstance(output, Tensor) or output.shape != gates.shape:
            raise EditError(
                f"{path} does not put out a map with a value for each of its gates, so that these "
                "cannot differ from place to place. Choose another squeeze or block."
            )
        return output * gates.to(output.dtype)

    return multiply


def _squeeze(visit: Visit, kind: str) -> Tensor:
    """Return the summary of each channel, (batch, channels)."""
    if kind == "own":
        assert visit.squeeze is not None
        return plain(visit.squeeze).reshape(-1, visit.channels)
    maps = _channels_last(visit).flatten(1, -2)
    return maps.amax(1) if kind == "max" else maps.mean(1)


def _channels_last(visit: Visit) -> Tensor:
    features = plain(visit.features)
    return features if visit.place.row.channels_last else features.movedim(1, -1)


def _apply(function: Function, values: Tensor) -> Tensor:
    # Not by its call: a module may be the one whose output is the gate, and is listened to.
    call = function.call.forward if isinstance(function.call, nn.Module) else function.call
    return call(values)
