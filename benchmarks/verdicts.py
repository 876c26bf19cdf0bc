"""Verdicts of the pages: how often the bold word is wrong where the truth is known, and said where
it should be.

python -m benchmarks.verdicts erasure|sanity|scores|slopes [--network NAME] [--cases 100] [--seed 0]

Each prints one row a kind of case: how many were drawn, and in how many the word was said.
docs/verdicts.md holds rules, chance levels and results; short forms of the same draws are tests.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table
from se_viz.attribution.gates.erasure import check_region, mark_strongest
from se_viz.attribution.gates.neurons import attribute_neuron
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.question.targets import Target
from se_viz.attribution.scores.controls import make_controls
from se_viz.attribution.scores.curves import Exam
from se_viz.attribution.scores.sanity import CHANCE, check_sanity
from se_viz.attribution.scores.scores import Yardstick, find_unbeaten, make_yardstick, score_map
from se_viz.errors import AttributionError
from se_viz.experiments.analysis import analyse
from se_viz.experiments.effects import compare_slopes, estimate_effects
from se_viz.gates.neurons import Neuron
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import Network, load_network

SIDE = 32
"""Pixels at the side of what small networks see."""

HEAD = ("cases", "the word should be", "drawn", "word said", "rate")
"""What the columns of the table hold."""

_METHODS = {"saliency": "Saliency", "grad_cam": "Grad-CAM"}
_POOL = 20
_DRAWS = 6

SAID = "said"
WRONG = "said by chance alone"
"""What is right of a kind of case."""


@dataclass(frozen=True, slots=True)
class Task:
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
    hits: list[bool]
    """Whether it was, for each case."""

    def show(self) -> tuple[str, ...]:
        """Return a row of the table."""
        count = sum(self.hits)
        draws = len(self.hits)
        return (
            self.kind,
            self.right,
            str(draws),
            str(count),
            f"{count / draws:.1%}" if draws else "none drawn",
        )


def measure_erasure(task: Task) -> Iterator[Rate]:
    """Erase what maps of noise mark, and what maps of a gate mark, and count "these pixels held it
    open".
    """
    photos = _photos(task.network)
    generator = torch.Generator().manual_seed(task.seed)
    side = task.network.card.input_size
    controls = make_controls(side, side, repeats=task.cases, seed=task.seed)
    hits: dict[str, list[bool]] = {
        "random patches": [],
        "random pixels": [],
        "Integrated Gradients of the gate": [],
    }
    for number in range(task.cases):
        photo = photos[number % len(photos)]
        neuron = _draw_neuron(task.network, generator)
        inputs = task.network.preprocess(photo)
        maps = {
            "random patches": controls["patches"][number],
            "random pixels": controls["pixels"][number],
            "Integrated Gradients of the gate": attribute_neuron(
                task.network, inputs, neuron, "integrated_gradients"
            ).map,
        }
        for kind, values in maps.items():
            try:
                region = mark_strongest(values, 0.1)
            except AttributionError:
                continue
            result = check_region(task.network, photo, region, neuron, seed=task.seed + number)
            hits[kind].append(result.holds)
    for kind, values in hits.items():
        yield Rate(kind, SAID if "Gradients" in kind else WRONG, values)


def measure_sanity(task: Task) -> Iterator[Rate]:
    """Check maps of small networks of random weights, and of the trained one, and count that they
    show learning.
    """
    photos = _photos(task.network)
    for method in ("saliency", "input_x_gradient"):
        hits = [
            _has_learned(untrained(task.seed + number), photo.resize((SIDE, SIDE)), method, number)
            for number, photo in zip(range(task.cases), cycle(photos), strict=False)
        ]
        yield Rate(f"{method}, random weights", WRONG, hits)
    for method in ("saliency", "input_x_gradient"):
        hits = [_has_learned(task.network, photo, method, task.seed) for photo in photos]
        yield Rate(f"{method}, trained", SAID, hits)


class Small(nn.Module):
    """A network of one SE block, of random weights.

    At 32 pixels a pass takes less than a millisecond.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.se = SqueezeExcitation(8, 4)
        self.head = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        """Return three logits an image."""
        return self.head(self.se(self.stem(images).relu()).relu().mean((2, 3)))


def untrained(seed: int) -> Network:
    """Return a network that has learned nothing, whose gates leave 0.5."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Small()
        nn.init.normal_(model.se.get_parameter("fc2.weight"), std=2.0)
    return Network.from_model(model.eval().requires_grad_(False), input_size=SIDE)


def _has_learned(network: Network, photo: Image.Image, method: str, seed: int) -> bool:
    inputs = network.preprocess(photo)
    with torch.inference_mode():
        best = int(network.model(inputs).argmax())
    steps = check_sanity(network, inputs, attribute(network, inputs, best, method), seed=seed)
    peers = steps[-1].peers
    return peers is not None and peers.chance <= CHANCE and peers.apart


def measure_scores(task: Task) -> Iterator[Rate]:
    """Score draws of controls as if they were maps, beside others, and count that they beat every
    control.

    Each photo has 20 draws of each kind; a case takes some of them for controls, and a further one
    for the map.
    """
    hits: dict[str, list[bool]] = {
        title: [] for title in ("random pixels", "random patches", *_METHODS.values())
    }
    photos = _photos(task.network)
    generator = torch.Generator().manual_seed(task.seed)
    for photo in photos:
        inputs = task.network.preprocess(photo)
        with torch.inference_mode():
            best = int(task.network.model(inputs).argmax())
        exam = Exam(Target(best), squares=2, repeats=_POOL, seed=task.seed)
        pool = make_yardstick(task.network, inputs, exam)
        maps = {
            title: score_map(
                task.network, inputs, attribute(task.network, inputs, best, key).map, pool.falls
            )
            for key, title in _METHODS.items()
        }
        for _ in range(task.cases // len(photos)):
            order = torch.randperm(_POOL, generator=generator).tolist()
            controls = {
                key: tuple(scores[place] for place in order[:_DRAWS])
                for key, scores in pool.controls.items()
                if len(scores) > 1
            }
            yardstick = Yardstick(pool.falls, controls | {"blob": pool.controls["blob"]})
            # A draw that is none of the controls: it beats them by chance alone.
            further = {
                f"random {key}": pool.controls[key][order[-1]] for key in ("pixels", "patches")
            }
            for title, score in {**further, **maps}.items():
                hits[title].append(not find_unbeaten(score, yardstick))
    for title, values in hits.items():
        yield Rate(title, WRONG if "random" in title else "not known", values)


def measure_slopes(task: Task) -> list[Rate]:
    """Shuffle the slopes of blocks among their channels, or sort them as their gates, and count
    words beside the null.

    "Above 0" is what was said before: that the interval of the plain rank correlation lies above 0.
    """
    generator = torch.Generator().manual_seed(task.seed)
    dice = np.random.default_rng(task.seed)
    hits: dict[str, list[bool]] = {
        "shuffled slopes": [],
        "shuffled slopes, compared with 0": [],
        "sorted slopes": [],
    }
    for number in range(task.cases):
        photo = _photos(task.network)[number % len(list_samples())]
        block = _draw_neuron(task.network, generator).block
        target = number % len(task.network.classes)
        gates = analyse(task.network, photo).record(block).gate[0].double().numpy()
        slopes = estimate_effects(task.network, photo, block, target).double().numpy() / gates
        # Shuffled, any order is chance; sorted as the gates are, the word should be found.
        mixed = compare_slopes(gates, gates * dice.permutation(slopes), sizes=True, seed=number)
        ordered = slopes[abs(slopes).argsort()][gates.argsort().argsort()]
        steep = compare_slopes(gates, gates * ordered, sizes=True, seed=number)
        if mixed is None or steep is None:
            continue
        hits["shuffled slopes"].append(mixed.standing != "inside")
        hits["shuffled slopes, compared with 0"].append(
            mixed.value > 1.96 / math.sqrt(len(gates) - 1)
        )
        hits["sorted slopes"].append(steep.standing == "above")
    return [
        Rate(kind, SAID if kind == "sorted slopes" else WRONG, values)
        for kind, values in hits.items()
    ]


def _photos(network: Network) -> list[Image.Image]:
    """Return the samples as the network sees them."""
    side = network.card.input_size
    photos = []
    for sample in list_samples():
        photo = open_image(sample.path)
        square = min(photo.size)
        left = (photo.width - square) // 2
        top = (photo.height - square) // 2
        photos.append(photo.crop((left, top, left + square, top + square)).resize((side, side)))
    return photos


def _draw_neuron(network: Network, generator: torch.Generator) -> Neuron:
    sites = network.inspection.sites
    site = sites[int(torch.randint(len(sites), (), generator=generator))]
    return Neuron(site.name, int(torch.randint(site.channels, (), generator=generator)))


VERDICTS: dict[str, Callable[[Task], Iterable[Rate]]] = {
    "erasure": measure_erasure,
    "sanity": measure_sanity,
    "scores": measure_scores,
    "slopes": measure_slopes,
}
"""What can be measured."""


def main(words: list[str] | None = None) -> None:
    """Measure one verdict, and print the table and the machine."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("verdict", choices=VERDICTS, help="what is judged")
    parser.add_argument(
        "--network", default="se_resnet50_half_imagenette", help="name of a network on the disk"
    )
    parser.add_argument(
        "--cases", type=int, default=100, help="draws of each kind of case (default: 100)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws (default: 0)")
    arguments = parser.parse_args(words)
    machine = describe_machine()
    rows = []
    for rate in VERDICTS[arguments.verdict](
        Task(load_network(arguments.network), arguments.cases, arguments.seed)
    ):
        # At once: all of them may take half an hour.
        print(*rate.show(), sep=", ", file=sys.stderr)
        rows.append(rate.show())
    print(as_table(HEAD, rows), machine.show(), sep="\n\n")


if __name__ == "__main__":
    main()
