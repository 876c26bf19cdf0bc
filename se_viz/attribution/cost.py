"""How long methods take: one pass measured, and the passes of the catalogue."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from se_viz.attribution.methods import Method
from se_viz.line import Watch
from se_viz.networks import Network
from se_viz.runtime import line_of


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of one image through a network."""

    forward: float
    """To the answer."""
    backward: float
    """From the answer to the gradient of every pixel."""

    def estimate(self, row: Method, options: Mapping[str, Any], *, side: int) -> float:
        """Return about how many seconds a method takes for an image of ``side`` pixels, alone on the device."""
        return self.time(row.passes(options, side=side))

    def time(self, passes: tuple[int, int]) -> float:
        """Return about how many seconds so many images take forward and backward, alone on the device."""
        forward, backward = passes
        return forward * self.forward + backward * self.backward


def measure_pace(network: Network, *, watch: Watch = lambda _: None) -> Pace:
    """Time one image of the network's own size forward and backward, after one that is not timed.

    Raises:
        BusyError: too many wait for the device.
    """
    with line_of(network.device).turn(watch), torch.inference_mode(False), torch.enable_grad():
        _time_pass(network)
        return _time_pass(network)


def _time_pass(network: Network) -> Pace:
    side = network.card.input_size
    inputs = torch.zeros(1, 3, side, side, device=network.device, requires_grad=True)
    start = _now(network.device)
    answer = network.model(inputs).sum()
    middle = _now(network.device)
    torch.autograd.grad(answer, inputs)
    return Pace(middle - start, _now(network.device) - middle)


def _now(device: torch.device) -> float:
    # A GPU works on after a call returns.
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
