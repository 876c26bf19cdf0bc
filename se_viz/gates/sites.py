"""What one use of an SE block is, told from its run: function, range, hidden units, squeeze."""

from collections.abc import Iterable
from dataclasses import replace
from math import inf

import torch
from torch import Tensor, nn

from se_viz.gates.following import Origin
from se_viz.gates.listeners import Visit
from se_viz.gates.places import Place
from se_viz.gates.products import plain
from se_viz.gates.records import GateSite
from se_viz.gates.spellings import RANGES

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_ROUNDING = 1e-6


def describe_site(visit: Visit, squeeze: Tensor, gate: Tensor) -> GateSite:
    """Return what the run of a block tells of it.

    Raises:
        CaptureError: a part of the model was run by itself.
    """
    place = visit.place
    averaged = _averaged(visit, squeeze)
    site = GateSite(
        block=place.path,
        stage=visit.stage(),
        channels=visit.channels,
        function=type(place.gate).__name__,
        form=place.row.form,
        averaged=averaged,
        pooled="mean" if averaged else "",
        last=place.row.channels_last,
        call=visit.call,
        sides=_sides(visit),
    )
    if visit.product is None:
        low, high, closed = RANGES.get(site.function, (-inf, inf, False))
        hidden = _hidden(place, visit.channels)
        return replace(site, hidden=hidden, low=low, high=high, closed=closed)
    origin = visit.product.origin
    low, high, closed = _range(origin, gate)
    return replace(
        site,
        function=origin.function,
        hidden=_hidden_of(origin, visit.channels),
        low=low,
        high=high,
        closed=closed,
        pooled=_name_squeeze(visit.product.pooled, averaged=averaged),
    )


def complete_site(site: GateSite, followed: Iterable[GateSite]) -> GateSite:
    """Return a site known by its class with the range and the statistic that following it told."""
    own = [other for other in followed if (other.block, other.call) == (site.block, site.call)]
    if not own:
        return site
    other = own[0]
    pooled = "mean" if site.averaged else other.pooled
    if other.low == -inf and other.high == inf:
        return replace(site, pooled=pooled)
    return replace(site, low=other.low, high=other.high, closed=other.closed, pooled=pooled)


def _sides(visit: Visit) -> tuple[int, ...]:
    shape = tuple(visit.features.shape)
    return shape[1:-1] if visit.place.row.channels_last else shape[2:]


def _range(origin: Origin, gate: Tensor) -> tuple[float, float, bool]:
    """Return the ends that were derived, unless a gate was measured beyond them."""
    low, high = origin.low, origin.high
    lowest, highest = (float(value) for value in torch.aminmax(plain(gate).float()))
    slack = _ROUNDING * max(1.0, abs(lowest), abs(highest))
    if lowest < low - slack or highest > high + slack:
        return -inf, inf, False
    return low, high, origin.closed


def _name_squeeze(pooled: str, *, averaged: bool) -> str:
    if not averaged:
        return pooled
    # A sum divided by the number of places, however it was written, is the mean.
    _, *others = pooled.split(" and ")
    return " and ".join(["mean", *(other for other in others if other != "mean")])


def _hidden_of(origin: Origin, channels: int) -> int | None:
    if len(origin.layers) < 2:
        return None
    units, inputs = origin.layers[0]
    return units if inputs == channels and origin.layers[-1] == (channels, units) else None


def _hidden(place: Place, channels: int) -> int | None:
    """Return the units between the excitation's layers, if there are two with weights from and to
    all channels.
    """
    layers = [
        layer.weight.shape[:2] for layer in place.block.modules() if isinstance(layer, LAYERS)
    ]
    first = [
        layer.weight.shape[:2] for layer in place.squeeze.modules() if isinstance(layer, LAYERS)
    ]
    units, inputs = first[0] if first else (0, 0)
    return units if inputs == channels and (channels, units) in layers and len(layers) > 1 else None


def _averaged(visit: Visit, squeeze: Tensor) -> bool:
    features = plain(visit.features).double()
    first = 1 if visit.place.row.channels_last else 2
    mean = features.mean(tuple(range(first, first + features.ndim - 2)))
    # The block may add in lower precision and in another order: a few roundings of its largest
    # terms.
    slack = 8 * torch.finfo(squeeze.dtype).eps * features.abs().amax()
    if visit.squeeze is not None and visit.squeeze.is_quantized:
        slack += 0.51 * visit.squeeze.q_scale()
    return bool(((squeeze.double() - mean).abs() <= slack).all())
