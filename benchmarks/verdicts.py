"""Verdicts of the pages: how often the bold word is wrong where the truth is known, and said where it should be.

python -m benchmarks.verdicts erasure|sanity|scores [--network se_resnet50_half_imagenette] [--cases 100] [--seed 0]

Each prints one row a kind of case: how many were drawn, and in how many the word was said. docs/verdicts.md holds
rules, chance levels and results; short forms of the same draws are tests.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table
from se_viz.attribution.controls import make_controls
from se_viz.attribution.erasure import check_region, mark_strongest
from se_viz.attribution.neurons import attribute_neuron
from se_viz.errors import AttributionError
from se_viz.gates.neurons import Neuron
from se_viz.images import list_samples, open_image
from se_viz.networks import Network, load_network
from se_viz.ui.erasing import describe_erasure

HEAD = ("cases", "the word should be", "drawn", "word said", "rate")
"""What the columns of the table hold."""

SAID, WRONG = "said", "said by chance alone"
"""What is right of a kind of case."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What every measurement is given."""

    network: Network
    """A trained network."""
    cases: int
    """Draws of each kind of case."""
    seed: int
    """Seed of all of them."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a word was said of one kind of case."""

    kind: str
    """The cases in a few words."""
    right: str
    """`SAID` where the word is true, `WRONG` where it is not."""
    said: list[bool]
    """Whether it was, for each case."""

    def show(self) -> tuple[str, ...]:
        """Return a row of the table."""
        count, drawn = sum(self.said), len(self.said)
        return self.kind, self.right, str(drawn), str(count), f"{count / drawn:.1%}" if drawn else "none drawn"


def measure_erasure(asked: Asked) -> list[Rate]:
    """Erase what maps of noise mark, and what maps of a gate mark, and count "these pixels held it open"."""
    photos, generator = _photos(asked.network), torch.Generator().manual_seed(asked.seed)
    side = asked.network.card.input_size
    controls = make_controls(side, side, repeats=asked.cases, seed=asked.seed)
    said: dict[str, list[bool]] = {"random patches": [], "random pixels": [], "Integrated Gradients of the gate": []}
    for number in range(asked.cases):
        photo, neuron = photos[number % len(photos)], _draw_neuron(asked.network, generator)
        inputs = asked.network.preprocess(photo)
        maps = {
            "random patches": controls["patches"][number],
            "random pixels": controls["pixels"][number],
            "Integrated Gradients of the gate": attribute_neuron(
                asked.network, inputs, neuron, "integrated_gradients"
            ).map,
        }
        for kind, values in maps.items():
            try:
                region = mark_strongest(values, 0.1)
            except AttributionError:
                continue
            result = check_region(asked.network, photo, region, neuron, seed=asked.seed + number)
            said[kind].append("held it open" in describe_erasure(result, "gate"))
    return [Rate(kind, SAID if "Gradients" in kind else WRONG, values) for kind, values in said.items()]


def _photos(network: Network) -> list[Image.Image]:
    """Return the samples as the network sees them."""
    side = network.card.input_size
    photos = []
    for sample in list_samples():
        photo = open_image(sample.path)
        square = min(photo.size)
        left, top = (photo.width - square) // 2, (photo.height - square) // 2
        photos.append(photo.crop((left, top, left + square, top + square)).resize((side, side)))
    return photos


def _draw_neuron(network: Network, generator: torch.Generator) -> Neuron:
    sites = network.inspection.sites
    site = sites[int(torch.randint(len(sites), (), generator=generator))]
    return Neuron(site.name, int(torch.randint(site.channels, (), generator=generator)))


VERDICTS: dict[str, Callable[[Asked], list[Rate]]] = {"erasure": measure_erasure}
"""What can be measured."""


def main(words: list[str] | None = None) -> None:
    """Measure one verdict, and print the table and the machine."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("verdict", choices=VERDICTS, help="what is judged")
    parser.add_argument("--network", default="se_resnet50_half_imagenette", help="name of a network on the disk")
    parser.add_argument("--cases", type=int, default=100, help="draws of each kind of case (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws (default: 0)")
    asked = parser.parse_args(words)
    machine = describe_machine()
    rates = VERDICTS[asked.verdict](Asked(load_network(asked.network), asked.cases, asked.seed))
    print(as_table(HEAD, [rate.show() for rate in rates]), machine.show(), sep="\n\n")


if __name__ == "__main__":
    main()
