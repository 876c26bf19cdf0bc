"""One SE block run by itself, on a squeeze that is given."""

from collections.abc import Callable
from contextvars import Context

import torch
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.errors import ExcitationError
from se_viz.gates.choice import choose_blocks
from se_viz.gates.hooks import listening
from se_viz.gates.inspection import evaluating
from se_viz.gates.listeners import Listener, Visit
from se_viz.gates.places import Place
from se_viz.gates.products import plain
from se_viz.gates.records import GateRecord
from se_viz.gates.replays import replay


def find_place(model: nn.Module, record: GateRecord) -> Place:
    """Return where the block of a record is in a model."""
    return next(iter(choose_blocks(model, [record.block]).values()))


def excite(
    model: nn.Module,
    record: GateRecord,
    place: Place,
    squeeze: Float[Tensor, "batch channels"],
) -> Float[Tensor, "batch channels"]:
    """Return the gates that a block makes of a squeeze, on its device.

    Raises:
        ExcitationError: the block makes them of more than a squeeze, or not by itself.
    """
    gate = run_alone(model, record, place, squeeze).gate
    assert gate is not None
    return gate.reshape(squeeze.shape)


def run_alone(
    model: nn.Module,
    record: GateRecord,
    place: Place,
    squeeze: Float[Tensor, "batch channels"],
    part: Callable[[nn.Module, Tensor], None] | None = None,
) -> Visit:
    """Return what a block did with a squeeze, on its device; ``part`` is told what each part puts
    out.

    The block is given maps of one pixel, whose mean is that pixel: the squeeze itself. They have
    as many axes in space as those of ``record``. Where the excitation is part of a longer
    ``forward``, the functions that make it are called instead, as a pass of noise shows them.

    Raises:
        ExcitationError: the block makes its gates of more than a squeeze, or not by itself.
    """
    like = next(place.block.parameters(), torch.zeros(()))
    maps = squeeze.to(like).reshape(*squeeze.shape, *[1] * record.axes).clone()
    last = place.row.channels_last
    if place.flow is None:
        return _run(place, maps.movedim(1, -1) if last else maps, part)[0]
    if place.flow.scope is place.block:
        # A block may turn its maps itself before it multiplies.
        for turned in (last, not last):
            visits = _try(place, maps.movedim(1, -1) if turned else maps, part)
            if visits is not None:
                _check(place, visits)
                if _is_made_of(visits, maps.reshape(squeeze.shape)):
                    return visits[0]
                break
    visit = replay(model, place, squeeze, call=record.call)
    if visit is None:
        raise ExcitationError(_refuse(place))
    _check(place, [visit])
    return visit


def _run(
    place: Place, maps: Tensor, part: Callable[[nn.Module, Tensor], None] | None
) -> list[Visit]:
    visits: list[Visit] = []
    listener = Listener(place.block, {place.block: place}, see=visits.append, part=part)
    listener.steps = part is not None

    def run() -> None:
        with listening(listener), evaluating(place.block):
            place.block(maps)

    # In a context of its own: no capture or edit of the caller is to see this run.
    Context().run(run)
    return visits


def _try(
    place: Place, maps: Tensor, part: Callable[[nn.Module, Tensor], None] | None
) -> list[Visit] | None:
    try:
        return _run(place, maps, part) or None
    except Exception:
        # Whatever a block raises that takes something else than a map with a pixel a channel.
        return None


def _check(place: Place, visits: list[Visit]) -> None:
    """Refuse a block that makes its gates of more than a squeeze."""
    kinds = {visit.product.pooled for visit in visits if visit.product}
    if any(" and " in kind for kind in kinds):
        raise ExcitationError(
            f"{place.path} ({place.row.form}) makes its gates of {' and '.join(sorted(kinds))}, of "
            "which a record holds one. Its squeeze and its gates can be read; for every step "
            "between them choose another block."
        )


def _is_made_of(visits: list[Visit], squeeze: Tensor) -> bool:
    """Return whether a block has made its gates of the squeeze that it was given, and once."""
    values = [visit.squeeze for visit in visits]
    if len(values) != 1 or values[0] is None or values[0].numel() != squeeze.numel():
        return False
    return torch.allclose(plain(values[0]).reshape(squeeze.shape), squeeze, rtol=1e-3, atol=1e-6)


def _refuse(place: Place) -> str:
    return (
        f"{place.path or 'The model itself'} ({place.row.form}) makes its gates in a longer "
        "forward, so that its excitation cannot be run by itself. Its squeeze and its gates can "
        "be read; for every step between them choose another block."
    )
