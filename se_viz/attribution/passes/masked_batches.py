"""Many pictures through a network, batched and in slices: what scores are read from."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.passes.folded import LEAST, swift_copy
from se_viz.devices import Report, Watch, lay_out, line_of, run_halving
from se_viz.networks import Network

_ROWS = {"cpu": 8}
_ROWS_ON_GPU = 64
"""Pictures in one pass: on a CPU more would take as long each, and let others wait."""


def answer_pictures(
    network: Network,
    make: Callable[[Tensor], Tensor],
    count: int,
    *,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> Float[Tensor, "pictures classes"]:
    """Return the logits of ``count`` pictures, float32 on the CPU.

    ``make`` returns those with the given numbers, (batch, 3, height, width) on the network's
    device, when they are needed; the one with number 0 should be the image itself, by which the
    network's swift copy is proven. Other passes on the device run between two batches; ``report``
    is told of each. Where memory runs out, fewer pictures go into one pass.

    Raises:
        BusyError: too many wait for the device.
        TooLittleMemoryError: it has too little memory for one picture.
    """
    rows = _ROWS.get(network.device.type, _ROWS_ON_GPU)
    parts: list[Tensor] = []
    with line_of(network.device).turn(watch, sliced=True) as turn:
        run = _lend(network, make, count)
        for start in range(0, count, rows):
            if start:
                report(start, count)
                turn.give_way()
            with torch.inference_mode():
                numbers = range(start, min(start + rows, count))
                subject = network.card.title
                parts += run_halving(run, numbers, device=network.device, subject=subject)
    report(count, count)
    # Outside inference mode, so that the answers may be used in autograd.
    return torch.stack(parts).clone()


def _lend(
    network: Network, make: Callable[[Tensor], Tensor], count: int
) -> Callable[[Sequence[int]], list[Tensor]]:
    model = swift_copy(network.model, make(torch.arange(1))) if count >= LEAST else network.model
    return lambda numbers: [*model(lay_out(make(torch.tensor(numbers)))).float().cpu()]
