"""Channels and strides where SE blocks are to go, seen in one pass; nothing stays behind."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from se_viz.errors import NetworkError
from se_viz.gates.inspection import evaluating
from se_viz.insertion.spots import Place, Spot


@dataclass(frozen=True, slots=True)
class Map:
    """The feature map that a block is to multiply."""

    channels: int
    """The paper's C."""
    stage: int
    """log2 of the stride of the unit's output."""


class _Probe(nn.Module):
    """Stands in for a module during the pass, and notes the shapes of what comes and goes."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.before: list[tuple[int, ...]] = []
        self.after: list[tuple[int, ...]] = []

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = self.inner(*args, **kwargs)
        self.before.append(_shape(args[0] if args else None))
        self.after.append(_shape(output))
        return output


def probe(model: nn.Module, spots: Iterable[Spot], size: int) -> dict[Spot, Map]:
    """Run one image of side ``size`` through a model, and return what each spot sees.

    The image is zero everywhere; modes are put back, and norms learn nothing.

    Raises:
        NetworkError: the model does not take such an image, a spot does not run, or what comes
            there is no feature map.
    """
    spots = list(spots)
    places = {place for spot in spots for place in (spot.unit, spot.target)}
    modules = {place: getattr(place.owner, place.name) for place in places}
    probes = {place: _Probe(part) for place, part in modules.items() if part is not None}
    try:
        for place, stand_in in probes.items():
            setattr(place.owner, place.name, stand_in)
        _run(model, size)
    finally:
        for place in probes:
            setattr(place.owner, place.name, modules[place])
    return {spot: _read(spot, probes, size) for spot in spots}


def _run(model: nn.Module, size: int) -> None:
    like = next((value for value in model.parameters() if value.is_floating_point()), None)
    image = torch.zeros(1, 3, size, size)
    try:
        with evaluating(model), torch.no_grad():
            model(image if like is None else image.to(like))
    except Exception as error:
        # Whatever a model raises that takes another kind of image.
        raise NetworkError(
            f"{type(model).__name__} does not run on one image of {size} pixels ({error}). Give "
            "the side that it takes with `size`."
        ) from error


def _read(spot: Spot, probes: dict[Place, _Probe], size: int) -> Map:
    unit = probes[spot.unit]
    target = probes.get(spot.target)
    if not unit.after or (target and not target.after):
        raise NetworkError(
            f"{spot.path} does not run in a pass of one image. Leave it out of the rule `where`."
        )
    # A shortcut without a module passes on what the unit takes.
    shapes = unit.before if target is None else _seen(target, spot.side)
    channels = {shape[1] for shape in shapes if len(shape) == 4}
    if any(len(shape) != 4 for shape in shapes) or len(channels) != 1:
        raise NetworkError(
            f"{spot.path} puts out {_say(shapes)}, where an SE block needs a feature map (batch, "
            "channels, height, width) of the same channels each time. Name other modules in "
            "`where`."
        )
    height = unit.after[0][2]
    return Map(channels.pop(), round(math.log2(size / height)))


def _seen(stand_in: _Probe, side: str) -> list[tuple[int, ...]]:
    return stand_in.after if side == "after" else stand_in.before


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def _say(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(sorted({str(shape) if shape else "no tensor" for shape in shapes}))
