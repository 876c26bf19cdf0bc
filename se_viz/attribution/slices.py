"""A long run of one function in slices, so that others get the device in between."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from se_viz.line import Turn


class Slices:
    """A function that is called many times: between two calls, the turn on its device is given away."""

    def __init__(self, forward: Callable[[Tensor], Tensor], device: torch.device, turn: Turn) -> None:
        self._forward, self._device, self._turn = forward, device, turn
        self._called = False
        self.away = 0.0
        """Seconds that others had the turn."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """Call the function; before every call but the first, let others run."""
        if self._called:
            self._give_way()
        self._called = True
        return self._forward(inputs)

    def _give_way(self) -> None:
        # A GPU works on after a call returns: the turn would be given away too early.
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        left = time.perf_counter()
        self._turn.give_way()
        self.away += time.perf_counter() - left
