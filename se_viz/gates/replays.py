"""The excitation of a block that makes its gates in a longer forward: the functions of a pass,
called once more on another squeeze.

Why: docs/decisions/007-arithmetic-of-a-block.md
"""

from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from se_viz.gates.following import Step
from se_viz.gates.hooks import listening
from se_viz.gates.inspection import evaluating, guess_noise
from se_viz.gates.listeners import Listener, Visit
from se_viz.gates.places import Place
from se_viz.gates.products import plain

_Links: TypeAlias = Sequence[tuple[Step, Tensor]]
"""Functions in their order, each with what it put out."""


class _LostError(Exception):
    """A function whose input cannot be told from what it is given besides."""


def replay(model: nn.Module, place: Place, squeeze: Tensor, *, call: int = 0) -> Visit | None:
    """Return what a block would have done with a squeeze, (batch, channels), on its device.

    A pass of noise shows the functions from the squeeze to the gates, with their weights. None
    where they are no chain, or do not give that pass's gates and those of another one, bit for bit.
    """
    noise = guess_noise(model)
    visit = _follow(model, place, call, noise)
    # Fainter: what a function has read off the image besides is then another value.
    other = _follow(model, place, call, noise / 2)
    links = _excitation_of(visit)
    if visit is None or other is None or not links:
        return None
    with suppress(_LostError):
        if _makes(links, visit) and _makes(links, other):
            return _visit_with(visit, _run(links, squeeze), squeeze)
    return None


@torch.no_grad()
def _makes(links: _Links, visit: Visit) -> bool:
    """Return whether functions make the gates of a pass of its squeeze."""
    if visit.squeeze is None or visit.gate is None:
        return False
    gate = _run(links, plain(visit.squeeze).reshape(1, -1))[-1][1]
    return torch.equal(gate.flatten(), visit.gate.flatten())


def _follow(model: nn.Module, place: Place, call: int, noise: Tensor) -> Visit | None:
    """Return one use of a block in a pass of noise; what comes after it may fail."""
    visits: list[Visit] = []
    listener = Listener(model, {place.block: place}, see=visits.append)
    listener.steps = True

    def run() -> None:
        # Whatever a model raises that takes something else: the block may have run by then.
        with suppress(Exception), listening(listener), evaluating(model), torch.no_grad():
            model(noise)

    # In a context of its own: no capture or edit of the caller is to see this run.
    Context().run(run)
    return next((visit for visit in visits if visit.call == call), None)


def _excitation_of(visit: Visit | None) -> _Links:
    """Return the functions from the first layer on."""
    chain = visit.product.origin.chain if visit and visit.product else None
    if not chain:
        return ()
    first = next((place for place, (step, _) in enumerate(chain) if step.weighs), len(chain))
    return chain[first:]


def _run(links: _Links, squeeze: Tensor) -> list[tuple[Step, Tensor]]:
    """Call functions one after the other, and return them with what they put out.

    Raises:
        _LostError: one has not as many values as the one before has put out.
    """
    outputs: list[tuple[Step, Tensor]] = []
    count = len(squeeze)
    values = squeeze.to(links[0][0].data[0][0])
    for step, _ in links:
        given = step.data[0][0]
        if values.numel() != count * given[:1].numel() or len(given) != 1:
            raise _LostError
        # A copy: the function may work in place.
        values = _call(step, given, values.reshape(count, *given.shape[1:]).clone())
        outputs.append((step, values))
    return outputs


def _call(step: Step, given: Tensor, values: Tensor) -> Tensor:
    def put(value: Any) -> Any:
        return values if value is given else value

    args = [put(value) for value in step.args]
    kwargs = {name: put(value) for name, value in step.kwargs.items()}
    if not any(value is values for value in (*args, *kwargs.values())):
        raise _LostError
    output = step.func(*args, **kwargs)
    if not isinstance(output, Tensor):
        raise _LostError
    return output


def _visit_with(visit: Visit, links: list[tuple[Step, Tensor]], squeeze: Tensor) -> Visit:
    assert visit.product is not None
    gate = links[-1][1].reshape(squeeze.shape)
    origin = replace(visit.product.origin, chain=tuple(links), logit=None)
    product = replace(visit.product, gate=gate, squeeze=squeeze, origin=origin)
    return replace(visit, squeeze=squeeze, gate=gate, product=product)
