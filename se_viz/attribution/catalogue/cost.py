"""How long methods take: passes measured, and those of the catalogue."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from se_viz.attribution.catalogue.method import Method
from se_viz.attribution.catalogue.perturbing import TOGETHER
from se_viz.devices import Watch, lay_out, line_of
from se_viz.networks import Network

_TRIES = 2


@dataclass(frozen=True, slots=True)
class Rate:
    """Seconds of one image through a network."""

    forward: float
    """To the answer."""
    backward: float
    """From the answer to the gradient of every pixel."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a network is here."""

    single: Rate
    """Of an image that has a pass to itself."""
    many: Rate
    """Of an image that shares a pass."""

    def estimate(self, row: Method, options: Mapping[str, Any], *, shape: tuple[int, ...]) -> float:
        """Return about how many seconds a method takes for one input of this ``shape``, (channels,
        *sides), alone on the device.
        """
        return self.time(row.passes(options, shape=shape))

    def time(self, passes: tuple[int, int]) -> float:
        """Return about how many seconds so many images take forward and backward, alone on the
        device.
        """
        forward, backward = passes
        rate = self.many if forward >= TOGETHER else self.single
        return forward * rate.forward + backward * rate.backward


def measure_pace(network: Network, *, watch: Watch = lambda _: None) -> Pace:
    """Time passes of one and of several images of the network's own size, the better of two each.

    Where memory has no room for several, one of many counts as one alone.

    Raises:
        BusyError: too many wait for the device.
    """
    with line_of(network.device).turn(watch), torch.inference_mode(False):
        single = _time_pass(network, 1)
        try:
            return Pace(single, _time_pass(network, TOGETHER))
        except torch.OutOfMemoryError:
            return Pace(single, single)


def _time_pass(network: Network, count: int) -> Rate:
    inputs = torch.zeros(count, *network.card.shape, device=network.device, dtype=network.precision)
    inputs = lay_out(inputs).requires_grad_()

    def run(slope: bool) -> float:
        start = _now(network.device)
        with torch.set_grad_enabled(slope):
            answer = network.model(inputs).sum()
        if slope:
            torch.autograd.grad(answer, inputs)
        return (_now(network.device) - start) / count

    # The least: others on this machine make a pass longer, never shorter.
    forward = min(run(False) for _ in range(_TRIES))
    round_trip = min(run(True) for _ in range(_TRIES))
    return Rate(forward, max(0.0, round_trip - forward))


def _now(device: torch.device) -> float:
    # A GPU works on after a call returns.
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
