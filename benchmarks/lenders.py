"""The gates that a bundled network's lenders have: images of its validation set, as many of each
class.

python -m benchmarks.lenders --data FOLDER_OF_CLASSES [--network se_resnet50_half_imagenette]
[--each 6]

Writes the gates beside the weights, no pictures, and the hash of the file into the network's card.
"""

import argparse
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from benchmarks.mattered import draw_paths
from se_viz.experiments.analysis import analyse
from se_viz.experiments.counterfactuals import gates_of
from se_viz.images.reading import open_image
from se_viz.networks import checkpoints, load_network
from se_viz.networks.card import card_to_json
from se_viz.networks.lenders import Lender, write_lenders


def main(words: list[str] | None = None) -> None:
    """Draw as many images of each class, in an order in which any first part holds all classes
    alike.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lenders")
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder with a folder of images for each class"
    )
    parser.add_argument(
        "--network", default="se_resnet50_half_imagenette", help="name of a bundled network"
    )
    parser.add_argument("--each", type=int, default=6, help="images of each class (default: 6)")
    arguments = parser.parse_args(words)
    network = load_network(arguments.network, "cpu")
    paths = draw_paths(arguments.data, arguments.each * len(network.classes))
    lenders = [
        Lender(
            path.name,
            sha256(path.read_bytes()).hexdigest(),
            gates_of(analyse(network, open_image(path))),
        )
        for path in paths
    ]
    target = checkpoints.FOLDER / f"{arguments.network}.lenders.npz"
    card = replace(network.card, lenders=write_lenders(lenders, network.inspection.sites, target))
    (checkpoints.FOLDER / f"{arguments.network}.json").write_text(
        json.dumps(card_to_json(card), indent=2) + "\n"
    )
    print(f"{len(lenders)} lenders, {target.stat().st_size / 1e6:.2f} MB -> {target}")


if __name__ == "__main__":
    main()
