"""Time of one image through the networks that `se_viz train --all` compares, interleaved.

python -m benchmarks.trials [--repeats 60] [--out checkpoints/trials]

Each round runs every network once, in an order that turns; random weights do not change the time.
With --out the medians are written for the page *What SE buys*.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch import nn

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table, spread
from se_viz.experiments import TIMES_FILE, VARIANTS
from se_viz.train.pairs import PAIRS
from se_viz.train.trials import RECIPE

HEAD = ("network", "one image, ms", "times plain")
_CLASSES = 10
_WARM_UP = 3


def main(words: list[str] | None = None) -> None:
    """Measure, print a table, and write the medians where a folder is named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    networks = {
        f"{pair.name}_{variant}": _ready(pair.make(variant, _CLASSES))
        for pair in PAIRS
        for variant in VARIANTS
    }
    image = torch.randn(1, 3, RECIPE.sizes[-1], RECIPE.sizes[-1])
    image = image.contiguous(memory_format=torch.channels_last)
    seconds = _measure(networks, image, arguments.repeats)
    middle = {name: spread(values) for name, values in seconds.items()}
    rows = [
        [
            name,
            spread([1000 * value for value in seconds[name]]).show(2),
            f"{middle[name].median / middle[name.rpartition('_')[0] + '_plain'].median:.2f}",
        ]
        for name in networks
    ]
    print(as_table(HEAD, rows))
    machine = describe_machine().show()
    print(f"\n{arguments.repeats} rounds, one CPU thread.\n{machine}")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        content = {
            "milliseconds": {name: round(1000 * value.median, 3) for name, value in middle.items()},
            "command": f"python -m benchmarks.trials --repeats {arguments.repeats}",
            "machine": machine,
        }
        (arguments.out / TIMES_FILE).write_text(json.dumps(content, indent=1) + "\n")


def _ready(model: nn.Module) -> nn.Module:
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@torch.inference_mode()
def _measure(
    networks: dict[str, nn.Module], image: torch.Tensor, repeats: int
) -> dict[str, list[float]]:
    for model in networks.values():
        for _ in range(_WARM_UP):
            model(image)
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    names = list(networks)
    for repeat in range(repeats):
        # Nobody always comes after the same neighbour.
        turned = names[repeat % len(names) :] + names[: repeat % len(names)]
        for name in turned if repeat % 2 else reversed(turned):
            started = time.perf_counter()
            networks[name](image)
            seconds[name].append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    main()
