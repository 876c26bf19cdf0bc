"""Capture's cost beside other ways to the same numbers: each against a bare pass, interleaved
within one run.

python -m benchmarks.capture [--repeats 30] [--network NAME] [--ways WAY ...]
"""

import argparse
import copy
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from itertools import cycle, islice
from multiprocessing import get_context

import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import SqueezeExcitation
from torchvision.transforms.v2 import functional as transforms

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table, peak_memory, ratios, show_memory, spread, time_pairs
from se_viz import capture_gates, list_networks, load_network, open_image
from se_viz.devices.choice import available_devices
from se_viz.gates.places import scan_model
from se_viz.images.reading import centre_square, list_samples
from se_viz.networks.families import build_untrained

BATCHES = (1, 16)
"""Images in one pass."""
HEAD = ("network", "device", "batch", "way", "bare, ms", "this way, ms", "ratio", "peak memory")
"""What the columns of the table hold; spreads are quartiles."""
FULL = "se_resnet50 at 224 px"
"""SE-ResNet-50 as in the paper (Table 1), with random weights: they do not change the time."""
_WARM_UP = 3

Pass = Callable[[Tensor], object]


def prepare_bare(model: nn.Module) -> Pass:
    """Run the model and nothing else."""
    return model


def prepare_capture(model: nn.Module) -> Pass:
    """Attach the hooks, run the model, keep every squeeze and gate, and take the hooks away, all
    in the pass.
    """

    def run(images: Tensor) -> object:
        with capture_gates(model) as records:
            model(images)
        return records

    return run


class _Open(nn.Module):
    """torchvision's SE block under another class: its feature extractor never looks into its
    own.
    """

    _scale = SqueezeExcitation._scale
    forward = SqueezeExcitation.forward


def prepare_extractor(model: nn.Module) -> Pass:
    """Let torchvision rewrite a copy of the model beforehand, so that it returns squeeze and gate
    of every block.
    """
    paths = blocks_of(model)
    model = copy.deepcopy(model)
    for path in paths:
        model.get_submodule(path).__class__ = _Open
    nodes = [f"{path}.{part}" for path in paths for part in ("avgpool", "scale_activation")]
    extractor = create_feature_extractor(model, nodes)
    return lambda images: {name: tensor.float().cpu() for name, tensor in extractor(images).items()}


def prepare_naive(model: nn.Module) -> Pass:
    """Hang a hook on every block that keeps what goes in and what comes out, as one would write it
    at first.
    """

    def run(images: Tensor) -> object:
        pairs: list[tuple[Tensor, Tensor]] = []

        def keep(_: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
            pairs.append((args[0].detach().cpu().clone(), output.detach().cpu().clone()))

        with ExitStack() as hooks:
            for path in blocks_of(model):
                hooks.callback(model.get_submodule(path).register_forward_hook(keep).remove)
            model(images)
        return [(before.mean((2, 3)), after) for before, after in pairs]

    return run


WAYS: dict[str, Callable[[nn.Module], Pass]] = {
    "bare again": prepare_bare,
    "capture_gates": prepare_capture,
    "feature extractor": prepare_extractor,
    "hooks that keep every map": prepare_naive,
}
"""Ways to measure against the bare pass; the bare pass itself shows the noise of the machine."""


def main(words: list[str] | None = None) -> None:
    """Measure every network, device, batch and way, and print the table and the machine."""
    arguments = _arguments(words)
    machine = describe_machine()
    names = [arguments.network] if arguments.network else [list_networks()[0].name, FULL]
    devices = ["cpu", *available_devices()[:-1][:1]]
    places = [(name, device, batch) for name in names for device in devices for batch in BATCHES]
    rows = [
        compare(*place, way, repeats=arguments.repeats)
        for place in places
        for way in arguments.ways
    ]
    print(as_table(HEAD, rows))
    print(
        f"\n{arguments.repeats} pairs each, {torch.get_num_threads()} CPU "
        f"threads.\n{machine.show()}"
    )


@torch.inference_mode()
def compare(name: str, device: str, batch: int, way: str, *, repeats: int) -> list[str]:
    """Return one row of the table."""
    model, inputs = load(name, device, batch)
    bare, candidate = (_clock(prepare(model), inputs) for prepare in (prepare_bare, WAYS[way]))
    for step in (bare, candidate) * _WARM_UP:
        step()
    pairs = time_pairs(bare, candidate, repeats)
    times = [
        spread([1000 * seconds for seconds in column]).show(1)
        for column in zip(*pairs, strict=True)
    ]
    peak = show_memory(peak_of(way, name, device, batch))
    return [name, device, str(batch), way, *times, spread(ratios(pairs)).show(3), peak]


def load(name: str, device: str, batch: int) -> tuple[nn.Module, Tensor]:
    """Return a model and its inputs: sample images at its size, repeated as often as needed."""
    if name == FULL:
        model = build_untrained("se_resnet50").eval().requires_grad_(False).to(device)
        size = 224
    else:
        network = load_network(name, device)
        model = network.model
        size = network.card.input_size
    photos = [centre_square(open_image(sample.path), size) for sample in list_samples()]
    pixels = torch.stack(
        [transforms.pil_to_tensor(photo) for photo in islice(cycle(photos), batch)]
    )
    return model, (pixels / 127.5 - 1).to(device)


def blocks_of(model: nn.Module) -> list[str]:
    """Return the paths of a model's SE blocks."""
    return [place.path for place in scan_model(model).blocks.values()]


def peak_of(way: str, name: str, device: str, batch: int) -> float | None:
    """Return the peak memory in MiB of a fresh process that passes one way.

    A peak never falls, so two ways in one process could not be told apart. On a GPU it is what
    PyTorch allocated there, on the CPU all that the process held, interpreter and libraries
    included.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_here, way, name, device, batch).result()


@torch.inference_mode()
def _peak_here(way: str, name: str, device: str, batch: int) -> float | None:
    model, inputs = load(name, device, batch)
    step = WAYS[way](model)
    for _ in range(_WARM_UP):
        step(inputs)
    return torch.cuda.max_memory_allocated(device) / 2**20 if inputs.is_cuda else peak_memory()


def _clock(step: Pass, inputs: Tensor) -> Callable[[], float]:
    def finish() -> None:
        # A GPU works on after the call returns.
        if inputs.is_cuda:
            torch.cuda.synchronize(inputs.device)

    def timed() -> float:
        finish()
        started = time.perf_counter()
        step(inputs)
        finish()
        return time.perf_counter() - started

    return timed


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capture", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--repeats", type=int, default=30, help="pairs of passes a row, at least 2 (default: 30)"
    )
    parser.add_argument(
        "--network", help=f"name of the network (default: the first bundled one, and {FULL})"
    )
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=list(WAYS), help="ways to measure (default: all)"
    )
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
