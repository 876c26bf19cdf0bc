"""Does it matter?: how often the bold word depends on whose gates an image gets.

python -m benchmarks.mattered --data FOLDER_OF_CLASSES [--photos 30] [--lenders 60] [--scope
network]

Photos get the gates of three sets of lenders that share none, all drawn from the same folder, as
many of each class. A word is wrong where fewer than three quarters of the lenders of all three sets
agree with it.
"""

import argparse
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table
from se_viz.experiments.analysis import analyse
from se_viz.experiments.counterfactuals import Counterfactual, gates_of, run_lenders
from se_viz.experiments.verdicts import MOST, UNTOLD, VERDICTS, judge
from se_viz.images.reading import open_image
from se_viz.networks import Network, load_network
from se_viz.networks.lenders import Lender

SETS = 3
"""Sets of lenders that a photo gets."""

HEAD = ("lenders", "word changes", "two different words", "a word is said", "of these wrong")
"""What the columns of the table hold; the first two are shares of the photos, the third of photos
and sets."""


def main(words: list[str] | None = None) -> None:
    """Ask every photo of all lenders, judge it by parts of them, and print the table and the
    machine.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mattered", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder with a folder of images for each class"
    )
    parser.add_argument(
        "--network", default="se_resnet50_half_imagenette", help="name of a network on the disk"
    )
    parser.add_argument(
        "--photos", type=int, default=30, help="photos that are judged (default: 30)"
    )
    parser.add_argument("--lenders", type=int, default=60, help="lenders in a set (default: 60)")
    parser.add_argument(
        "--scope", default="network", help="block, stage or network (default: network)"
    )
    arguments = parser.parse_args(words)
    machine = describe_machine()
    network = load_network(arguments.network)
    paths = draw_paths(arguments.data, arguments.photos + SETS * arguments.lenders)
    photos = paths[: arguments.photos]
    rest = paths[arguments.photos :]
    lenders = [_see(network, path, number) for number, path in enumerate(rest)]
    counterfactuals = [
        run_lenders(network, open_image(photo), lenders, arguments.scope)
        for photo in tqdm(photos, leave=False)
    ]
    sizes = [size for size in (6, 11, 20, 30, 60, 120) if size < arguments.lenders]
    print(
        as_table(HEAD, [measure(counterfactuals, size) for size in [*sizes, arguments.lenders]]),
        machine.show(),
        sep="\n\n",
    )


def draw_paths(data: Path, number: int) -> list[Path]:
    """Return images in an order in which any part holds all classes alike."""
    dice = np.random.default_rng(0)
    classes = [sorted(folder.iterdir()) for folder in sorted(data.iterdir()) if folder.is_dir()]
    orders = [[files[place] for place in dice.permutation(len(files))] for files in classes]
    return [path for one_of_each in zip(*orders, strict=False) for path in one_of_each][:number]


def measure(counterfactuals: list[tuple[Counterfactual, ...]], size: int) -> tuple[str, ...]:
    """Return a row of the table: each photo judged by several sets of so many lenders."""
    varying = 0
    contradicted = 0
    decided = 0
    wrong = 0
    for of_photo in counterfactuals:
        # Lenders go by number: a set is a run of them, and no two sets share one.
        sets = [
            [result for result in of_photo if int(result.lender) // size == number]
            for number in range(SETS)
        ]
        words = [judge(results).words for results in sets]
        whole = judge(of_photo)
        shares: dict[str, float] = {
            word: count / whole.lenders for word, count in zip(VERDICTS, whole.counts, strict=True)
        }
        varying += len({*words}) > 1
        contradicted += len({*words} - {UNTOLD}) > 1
        decided += sum(word != UNTOLD for word in words)
        wrong += sum(word != UNTOLD and shares[word] < MOST for word in words)
    photos = len(counterfactuals)
    rates = (varying / photos, contradicted / photos, decided / (SETS * photos))
    return str(size), *(f"{rate:.0%}" for rate in rates), f"{wrong} of {decided}"


def _see(network: Network, path: Path, number: int) -> Lender:
    lender = Lender(
        "", sha256(path.read_bytes()).hexdigest(), gates_of(analyse(network, open_image(path)))
    )
    return replace(lender, name=str(number))


if __name__ == "__main__":
    main()
