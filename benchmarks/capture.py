"""Capture's cost: a forward pass with capture against a bare one, interleaved within one run.

python -m benchmarks.capture [--repeats 30] [--network NAME]
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle, islice
from multiprocessing import get_context

import torch
from torch import Tensor

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table, peak_memory, ratios, show_memory, spread, time_pairs
from se_viz import Network, capture_gates, list_networks, load_network, open_image
from se_viz.images import list_samples
from se_viz.runtime import available_devices

BATCHES = (1, 16)
"""Images in one pass."""
HEAD = ("device", "batch", "bare, ms", "with capture, ms", "ratio", "bare over bare", "memory, bare", "with capture")
"""What the columns of the table hold; spreads are quartiles."""
_WARM_UP = 3


def main(words: list[str] | None = None) -> None:
    """Measure every device and batch, and print the table and the machine."""
    arguments = _arguments(words)
    machine = describe_machine()
    name = arguments.network or list_networks()[0].name
    devices = ["cpu", *available_devices()[:-1][:1]]
    rows = [compare(name, device, batch, arguments.repeats) for device in devices for batch in BATCHES]
    print(as_table(HEAD, rows))
    print(f"\n{name}, {arguments.repeats} pairs each, {torch.get_num_threads()} CPU threads.\n{machine.show()}")


def compare(name: str, device: str, batch: int, repeats: int) -> list[str]:
    """Return one row of the table."""
    network = load_network(name, device)
    inputs = make_inputs(network, batch)
    bare, captured = (_clock(step, network, inputs) for step in (pass_bare, pass_captured))
    for step in (bare, captured) * _WARM_UP:
        step()
    pairs = time_pairs(bare, captured, repeats)
    control = time_pairs(bare, bare, repeats)
    times = [spread([1000 * seconds for seconds in column]).show(1) for column in zip(*pairs, strict=True)]
    peaks = [show_memory(peak_of(step, name, device, batch)) for step in ("bare", "captured")]
    shares = [spread(ratios(series)).show(3) for series in (pairs, control)]
    return [device, str(batch), *times, *shares, *peaks]


@torch.inference_mode()
def pass_bare(network: Network, inputs: Tensor) -> None:
    """Run the network and nothing else."""
    network.model(inputs)


@torch.inference_mode()
def pass_captured(network: Network, inputs: Tensor) -> None:
    """Attach the hooks, run the network, keep every squeeze and gate, and take the hooks away."""
    with capture_gates(network.model):
        network.model(inputs)


def make_inputs(network: Network, batch: int) -> Tensor:
    """Return a batch of sample images at the network's input size, repeated as often as needed."""
    photos = [network.preprocess(open_image(sample.path)) for sample in list_samples()]
    return torch.cat(list(islice(cycle(photos), batch)))


def peak_of(step: str, name: str, device: str, batch: int) -> float | None:
    """Return the peak memory in MiB of a fresh process that runs one kind of pass.

    A peak never falls, so two kinds in one process could not be told apart. On a GPU it is what PyTorch
    allocated there, on the CPU all that the process held, interpreter and libraries included.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_here, step, name, device, batch).result()


def _peak_here(step: str, name: str, device: str, batch: int) -> float | None:
    network = load_network(name, device)
    inputs = make_inputs(network, batch)
    for _ in range(_WARM_UP):
        {"bare": pass_bare, "captured": pass_captured}[step](network, inputs)
    on_gpu = network.device.type == "cuda"
    return torch.cuda.max_memory_allocated(network.device) / 2**20 if on_gpu else peak_memory()


def _clock(step: Callable[[Network, Tensor], None], network: Network, inputs: Tensor) -> Callable[[], float]:
    def finish() -> None:
        # A GPU works on after the call returns.
        if network.device.type == "cuda":
            torch.cuda.synchronize(network.device)

    def timed() -> float:
        finish()
        started = time.perf_counter()
        step(network, inputs)
        finish()
        return time.perf_counter() - started

    return timed


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capture", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30, help="pairs of passes a row, at least 2 (default: 30)")
    parser.add_argument("--network", help="name of the network (default: the first bundled one)")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
