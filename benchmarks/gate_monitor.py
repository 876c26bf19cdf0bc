"""A monitor's cost in training: steps with it beside steps without, interleaved within one run.

python -m benchmarks.gate_monitor [--repeats 30] [--batch 16] [--device cpu]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table, ratios, spread, time_pairs
from se_viz import GateMonitor
from se_viz.networks.families import build_untrained

EVERY = (100, 1)
"""Steps from one look to the next."""
HEAD = ("device", "every", "step", "without, ms", "with, ms", "ratio")
"""What the columns of the table hold; spreads are quartiles."""
NETWORK = "se_resnet50"
"""SE-ResNet-50 as in the paper (Table 1), with random weights: they do not change the time."""
SIZE = 128
"""Side of the images, in pixels."""
_WARM_UP = 3

Step = Callable[[], float]


def main(words: list[str] | None = None) -> None:
    """Measure steps that are looked at, and those between, and print the table and the machine."""
    arguments = _arguments(words)
    machine = describe_machine()
    rows = [row for every in EVERY for row in compare(every, arguments)]
    print(as_table(HEAD, rows))
    print(
        f"\n{NETWORK}, {arguments.batch} images of {SIZE} pixels, {arguments.repeats} pairs each, "
        f"{torch.get_num_threads()} CPU threads.\n{machine.show()}"
    )


def compare(every: int, arguments: argparse.Namespace) -> list[list[str]]:
    """Return a row for the steps that are looked at; before it, where there are any, one for those
    between.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plain, watched = (_prepare(arguments) for _ in range(2))
        number = [0]
        monitor = GateMonitor(
            watched.model, every, to=folder / "gates.parquet", step=lambda: number[0]
        )
        stack.enter_context(monitor)
        for _ in range(_WARM_UP):
            plain()
            watched()
            number[0] += every
        rows = []
        if every > 1:
            number[0] = 1
            rows.append(_row(every, "between", plain, watched, arguments))

        def looked_at() -> float:
            # Another step each time, and one to be looked at.
            number[0] = (number[0] // every + 1) * every
            return watched()

        rows.append(_row(every, "looked at", plain, looked_at, arguments))
        return rows


def _row(
    every: int, kind: str, plain: Step, watched: Step, arguments: argparse.Namespace
) -> list[str]:
    pairs = time_pairs(plain, watched, arguments.repeats)
    times = [
        spread([1000 * seconds for seconds in column]).show(1)
        for column in zip(*pairs, strict=True)
    ]
    return [arguments.device, str(every), kind, *times, spread(ratios(pairs)).show(3)]


class _Training:
    """One network in training; a call is a step, and returns its seconds."""

    def __init__(self, model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.model = model
        self.images = images
        self.labels = labels
        self.optimiser = torch.optim.SGD(model.parameters(), lr=0.01)

    def __call__(self) -> float:
        self._wait()
        started = time.perf_counter()
        F.cross_entropy(self.model(self.images), self.labels).backward()
        self.optimiser.step()
        self.optimiser.zero_grad()
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        # A GPU works on after the call returns.
        if self.images.is_cuda:
            torch.cuda.synchronize(self.images.device)


def _prepare(arguments: argparse.Namespace) -> _Training:
    torch.manual_seed(0)
    model = build_untrained(NETWORK).to(arguments.device).train().requires_grad_(True)
    images = torch.randn(arguments.batch, 3, SIZE, SIZE, device=arguments.device)
    return _Training(model, images, torch.arange(arguments.batch, device=arguments.device) % 10)


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gate_monitor", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--repeats", type=int, default=30, help="pairs of steps a row, at least 2 (default: 30)"
    )
    parser.add_argument("--batch", type=int, default=16, help="images a step (default: 16)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
