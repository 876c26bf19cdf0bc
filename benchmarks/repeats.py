"""Repeats: how far each method that draws at random agrees with itself, from one seed to the next.

python -m benchmarks.repeats [--photos 3] [--network se_resnet50_half_imagenette] [--methods
kernel_shap ...]

Each cell is the correlation of two maps of one sample for its most probable class, with the
catalogue's settings.
"""

import argparse

import torch

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table
from se_viz.attribution.catalogue.pixels import METHODS
from se_viz.attribution.pixels.repeats import measure_repeat
from se_viz.attribution.pixels.run import attribute
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import load_network

DRAWN = tuple(key for key, row in METHODS.items() if row.drawn)
"""Methods whose map depends on a seed."""


def main(words: list[str] | None = None) -> None:
    """Measure every method on some samples, and print the table and the machine."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.repeats", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--photos", type=int, default=3, help="number of samples (default: 3)")
    parser.add_argument(
        "--network",
        default="se_resnet50_half_imagenette",
        help="name of a network that is on the disk",
    )
    parser.add_argument(
        "--methods", nargs="+", choices=DRAWN, default=DRAWN, help="default: all that draw"
    )
    arguments = parser.parse_args(words)
    network = load_network(arguments.network)
    samples = list_samples()[: arguments.photos]
    photos = [network.preprocess(open_image(sample.path)) for sample in samples]
    with torch.inference_mode():
        targets = [int(network.model(inputs).argmax()) for inputs in photos]
    rows = []
    for key in arguments.methods:
        cells = []
        for inputs, target in zip(photos, targets, strict=True):
            value = measure_repeat(network, inputs, attribute(network, inputs, target, key))
            cells.append("none" if value is None else f"{value:.2f}")
        rows.append((METHODS[key].title, *cells))
        print(*rows[-1], flush=True)
    head = ("method", *(sample.path.stem for sample in samples))
    print(as_table(head, rows), describe_machine().show(), sep="\n\n")


if __name__ == "__main__":
    main()
