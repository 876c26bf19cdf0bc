"""A long run of one function in slices, so that others get the device in between and each slice
fits into memory.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from se_viz.devices import Report, Turn, fit_memory, give_way, lay_out

MOST_ON_CPU = 32
"""Images in one pass on a CPU. Eight are as fast, and far too many are no error there: the system
ends the program."""


def cap_piece(images: int | None, device: torch.device) -> int | None:
    """Return how many images one pass may hold of those that were asked for.

    None: all of a call.
    """
    return min(images or MOST_ON_CPU, MOST_ON_CPU) if device.type == "cpu" else images


def count_up(report: Report, total: int) -> Callable[[int], None]:
    """Return what is told of each slice and, of how much is done of the total by then, tells a
    report.
    """

    done = 0

    def note(images: int) -> None:
        nonlocal done
        done = min(done + images, total)
        report(done, total)

    return note


class Slices:
    """A function of images that is called many times: between two slices, the turn on its device
    is given away.

    A slice holds at most ``most`` images (None: all of a call); where memory runs out, half as many
    from then on. A call with gradients differentiates each slice at once, so that no graph outlives
    it. That is right for a function with one number an image that depends on this image alone.
    """

    def __init__(
        self,
        forward: Callable[[Tensor], Tensor],
        device: torch.device,
        turn: Turn,
        *,
        most: int | None = None,
    ) -> None:
        self._forward = forward
        self._device = device
        self._turn = turn
        self._most = most
        self._runs = 0
        self.note: Callable[[int], None] = lambda _: None
        """Told after each slice how many images it held."""
        self.away = 0.0
        """Seconds that others had the turn."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """Call the function; before every slice but the first, let others run."""
        if torch.is_grad_enabled() and inputs.requires_grad:
            return _Sloped.apply(inputs, self._differentiate)
        return self._cut(inputs, self._forward)

    def _differentiate(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        slopes: list[Tensor] = []

        def run(images: Tensor) -> Tensor:
            with torch.enable_grad():
                images = images.detach().requires_grad_()
                values = self._forward(images)
                # Appended last: a slice that does not fit leaves nothing behind.
                slopes.extend(torch.autograd.grad(values.sum(), images))
            return values.detach()

        return self._cut(inputs, run), torch.cat(slopes)

    def _cut(self, inputs: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        values: list[Tensor] = []
        rest = inputs
        while len(rest):
            part, count = self._run_slice(rest, run)
            values.append(part)
            rest = rest[count:]
            self.note(count)
        return torch.cat(values)

    def _run_slice(self, rest: Tensor, run: Callable[[Tensor], Tensor]) -> tuple[Tensor, int]:
        """Run as many of the first images as memory holds; return their values and their number."""
        whole = min(self._most or len(rest), len(rest))

        def run_first(count: int) -> tuple[Tensor, int]:
            if self._runs:
                self.away += give_way(self._turn, self._device)
            self._runs += 1
            if count < whole:
                self._most = count
            return run(lay_out(rest[:count])), count

        return fit_memory(run_first, whole)


class _Sloped(torch.autograd.Function):
    """A function of images whose derivative is found together with its value."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, run: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Tensor:
        """Keep the derivative by each image."""
        values, slopes = run(inputs)
        ctx.save_for_backward(slopes)
        return values

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        """Return the derivative, times what comes from above."""
        (slopes,) = ctx.saved_tensors
        return slopes * upstream[0].reshape(-1, *[1] * (slopes.ndim - 1)), None
