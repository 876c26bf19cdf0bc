"""Many pictures through a network, batched and in slices: what scores are read from."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from se_viz.errors import DeviceError
from se_viz.line import Watch
from se_viz.networks import Network
from se_viz.runtime import line_of
from se_viz.variants import Report

_ROWS = {"cpu": 16}
_ROWS_ON_GPU = 64
"""Pictures in one pass: on a CPU about a third of a second for an SE-ResNet-50."""


def answer_pictures(
    network: Network,
    make: Callable[[Tensor], Tensor],
    count: int,
    *,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> Float[Tensor, "pictures classes"]:
    """Return the logits of ``count`` pictures, float32 on the CPU.

    ``make`` returns those with the given numbers, (batch, 3, height, width) on the network's device, when they are
    needed. Other passes on the device run between two batches; ``report`` is told of each. Where memory runs out,
    fewer pictures go into one pass.

    Raises:
        BusyError: too many wait for the device.
        DeviceError: it has too little memory for one picture.
    """
    rows = _ROWS.get(network.device.type, _ROWS_ON_GPU)
    parts: list[Tensor] = []
    with line_of(network.device).turn(watch, sliced=True) as turn, torch.inference_mode():
        for start in range(0, count, rows):
            if start:
                report(start, count)
                turn.give_way()
            parts.extend(_run(network, make, torch.arange(start, min(start + rows, count))))
    report(count, count)
    # Outside inference mode, so that the answers may be used in autograd.
    return torch.cat(parts).clone()


def _run(network: Network, make: Callable[[Tensor], Tensor], numbers: Tensor) -> Iterator[Tensor]:
    try:
        yield network.model(make(numbers)).float().cpu()
        return
    except torch.OutOfMemoryError as error:
        if len(numbers) == 1:
            raise DeviceError(
                f"{network.device} has too little memory left for {network.card.title}. Choose a smaller network, or "
                "the device cpu."
            ) from error
    # Only here, after the error and its tensors are gone.
    torch.cuda.empty_cache()
    half = len(numbers) // 2
    yield from _run(network, make, numbers[:half])
    yield from _run(network, make, numbers[half:])
