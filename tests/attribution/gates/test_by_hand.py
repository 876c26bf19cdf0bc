from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.gates import attribute_gates, attribute_neuron
from se_viz.attribution.layers import attribute_layer
from se_viz.attribution.paths import trace_paths
from se_viz.attribution.question import Layer, Target
from se_viz.errors import AttributionError
from se_viz.experiments import (
    Replacement,
    ablate_channels,
    analyse,
    estimate_effects,
    gates_of,
    run_counterfactuals,
)
from se_viz.gates.neurons import Neuron
from se_viz.gates.surgery import set_gates
from se_viz.networks import Network


class Hand(nn.Module):
    """torchvision's block, with functions in the place of modules."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input times its gate."""
        hidden = F.relu(self.fc1(F.adaptive_avg_pool2d(x, 1)))
        return x * torch.sigmoid(self.fc2(hidden))


class Long(Hand):
    """The same in a longer forward."""

    def forward(self, x: Tensor) -> Tensor:
        """Return more than the product."""
        return x + super().forward(x.relu())


class Sum(nn.Module):
    """A map and the output of a block."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.se = SqueezeExcitation(channels, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        return x + self.se(x.relu())


def make(block: Callable[[int, int], nn.Module]) -> Network:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), block(8, 4), nn.Conv2d(8, 12, 3, 2, 1)]
    layers += [nn.ReLU(), block(12, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5)]
    return Network.from_model(nn.Sequential(*layers), input_size=32)


PIXELS = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
IMAGE = Image.fromarray(PIXELS)

QUESTIONS: dict[str, Callable[[Network, str, Tensor], Any]] = {
    "gates": lambda n, b, x: [record.gate for record in analyse(n, IMAGE).records],
    "edited logits": lambda n, b, x: [
        analyse(n, IMAGE, edits=(set_gates(b.partition("#")[0], 0.0, channels=[1, 2]),)).logits
    ],
    "ablation": lambda n, b, x: [ablate_channels(n, IMAGE, b)],
    "estimate": lambda n, b, x: [estimate_effects(n, IMAGE, b, 1)],
    "counterfactuals": lambda n, b, x: [
        [row.live, row.probability, row.divergence]
        for row in run_counterfactuals(
            n, IMAGE, Replacement("mean", "block"), gates_of(analyse(n, IMAGE))
        )
    ],
    "integrated gradients of gates": lambda n, b, x: [
        attribute_gates(n, x, 1, "integrated_gradients", block=b).values
    ],
    "saliency of a gate": lambda n, b, x: [attribute_neuron(n, x, Neuron(b, 3), "saliency").map],
    "deep lift of a gate": lambda n, b, x: [attribute_neuron(n, x, Neuron(b, 3), "deep_lift").map],
    "saliency of a logit": lambda n, b, x: [
        attribute_neuron(n, x, Neuron(b, 3, logit=True), "saliency").map
    ],
    "conductance": lambda n, b, x: [
        attribute_neuron(n, x, Neuron(b, 3), "conductance", target=1).map
    ],
    "paths": lambda n, b, x: [*trace_paths(n, x, 1, n_steps=4).flows["network"].through.values()],
    "end of a stage": lambda n, b, x: [
        attribute_layer(n, x, Target(1), layer=Layer("end", n.inspection.sites[-1].stage)).map
    ],
}


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    return {
        "hand": make(Hand),
        "table": make(SqueezeExcitation),
        "long hand": make(Long),
        "long table": make(Sum),
    }


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("length", ["", "long "])
def test_every_question_has_the_answer_that_the_table_has(
    networks: dict[str, Network], question: str, length: str
):
    """Two networks that compute the same differ only in how their code reads: so do not their
    answers.
    """
    answers = []
    for kind in ("hand", "table"):
        network = networks[f"{length}{kind}"]
        inputs = network.preprocess(IMAGE)
        name = network.inspection.sites[-1].name
        answers.append(QUESTIONS[question](network, name, inputs))
    assert len(answers[0]) == len(answers[1]) > 0
    for value, other in zip(*answers, strict=True):
        torch.testing.assert_close(torch.as_tensor(value), torch.as_tensor(other))


def test_maps_beside_a_gate_are_those_of_a_block_alone(networks: dict[str, Network]):
    """Where a block is a module of its own its input is U; in a longer forward no module has it."""
    maps = []
    for kind in ("hand", "table", "long hand"):
        network = networks[kind]
        layer = Layer("after", network.inspection.sites[-1].name)
        inputs = network.preprocess(IMAGE)
        if kind == "long hand":
            with pytest.raises(AttributionError, match=r"part of its forward.*Choose the end"):
                attribute_layer(network, inputs, Target(1), layer=layer)
        else:
            maps.append(attribute_layer(network, inputs, Target(1), layer=layer).map)
    torch.testing.assert_close(*map(torch.as_tensor, maps))
