"""Gate health over few images: how often "same for every image" and its opposite are said, and how
often wrongly.

python -m benchmarks.health FOLDER [--network se_resnet50_half_imagenette] [--images 800] [--draws
200] [--seed 0]

The share of the gates' variance between images over all images of the folder is taken for the
truth; then a few of them are drawn at a time, block by block. docs/verdicts.md holds the rule and
the results.
"""

import argparse
import random
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table
from se_viz.gates import Limits, capture_gates
from se_viz.gates.variance import estimate_image_share
from se_viz.images.reading import find_images, open_image
from se_viz.networks import Network, load_network

COUNTS = (3, 6, 12, 24, 48)
"""How many images are drawn at a time."""
HEAD = (
    "images",
    "interval holds the truth",
    "word said",
    "too few",
    "wrong word",
    "wrong by the plain variance",
)
"""What the columns of the table hold."""

_BATCH = 16


def gather(network: Network, files: list[Path]) -> dict[str, Tensor]:
    """Return the gates of each block over all images: (images, channels)."""
    gates: dict[str, list[Tensor]] = {}
    with torch.inference_mode():
        for start in range(0, len(files), _BATCH):
            photos = [
                network.preprocess(open_image(file)) for file in files[start : start + _BATCH]
            ]
            with capture_gates(network.model) as records:
                network.model(torch.cat(photos))
            for record in records:
                gates.setdefault(record.name, []).append(record.gate)
    return {name: torch.cat(parts) for name, parts in gates.items()}


def measure(
    gates: dict[str, Tensor], count: int, *, draws: int, dice: np.random.Generator
) -> tuple[str, ...]:
    """Return a row of the table: what is said of ``count`` images, over ``draws`` of them a
    block.
    """
    limit = Limits().fixed
    covered = 0
    decided = 0
    wrong = 0
    plain = 0
    for gate in gates.values():
        whole = estimate_image_share(gate)
        assert whole is not None
        fixed = whole.value < limit
        for _ in range(draws):
            few = gate[torch.from_numpy(dice.choice(len(gate), count, replace=False))].double()
            share = estimate_image_share(few)
            assert share is not None
            assert share.low is not None
            assert share.high is not None
            covered += share.low <= whole.value <= share.high
            below = share.high < limit
            above = share.low >= limit
            decided += below or above
            wrong += (below and not fixed) or (above and fixed)
            # The share as the sample has it, without a correction for few images, beside it.
            biased = few.var(0, correction=0).mean() / few.var(correction=0)
            plain += bool(biased < limit) != fixed
    total = draws * len(gates)
    numbers = (covered, decided, total - decided, wrong, plain)
    return str(count), *(f"{number / total:.1%}" for number in numbers)


def main(words: list[str] | None = None) -> None:
    """Measure, and print the table and the machine."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.health", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="folder of photos")
    parser.add_argument(
        "--network", default="se_resnet50_half_imagenette", help="name of a network on the disk"
    )
    parser.add_argument(
        "--images", type=int, default=800, help="photos that make the truth (default: 800)"
    )
    parser.add_argument(
        "--draws", type=int, default=200, help="draws a block and number of images (default: 200)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws (default: 0)")
    arguments = parser.parse_args(words)
    files = find_images([arguments.folder])
    random.Random(arguments.seed).shuffle(files)
    gates = gather(load_network(arguments.network), files[: arguments.images])
    dice = np.random.default_rng(arguments.seed)
    rows = [
        measure(gates, count, draws=arguments.draws, dice=dice)
        for count in COUNTS
        if 2 * count <= arguments.images
    ]
    print(as_table(HEAD, rows), describe_machine().show(), sep="\n\n")


if __name__ == "__main__":
    main()
