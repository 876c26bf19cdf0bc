"""What is read of an answer is explained, edited and replaced as any logit.

A segmenter whose answer is read over a region is compared with a classifier that somebody would
write by hand for the same number: a module around the segmenter.
"""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from se_viz import Network, attribute, attribute_gates, trace_paths
from se_viz.attribution.catalogue import GATE_METHODS, LAYER_METHODS, METHODS
from se_viz.attribution.catalogue.neurons import NEURON_METHODS
from se_viz.attribution.gates import attribute_neuron
from se_viz.attribution.layers import attribute_layer
from se_viz.attribution.question import Layer, Target
from se_viz.attribution.scores import Exam, make_yardstick, score_map
from se_viz.attribution.scores.sanity import check_sanity
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
from se_viz.readings import Reading
from tests.support.answers import load_code
from tests.support.photos import noise

pytestmark = pytest.mark.slow

NET = load_code()
REGION = (0.25, 0.25, 0.75, 1.0)
SIDE = 32


class ByHand(nn.Module):
    """The classifier: rows 8 to 31, columns 8 to 23, of a mask of 32 x 32."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.encoder = model.get_submodule("encoder")
        self.head = model.get_submodule("head")

    def forward(self, images: Tensor) -> Tensor:
        """Return the means."""
        maps = self.head(self.encoder(images))
        large = nn.functional.interpolate(maps, images.shape[-2:], mode="bilinear")
        return large[:, :, 8:32, 8:24].mean((2, 3))


@pytest.fixture(scope="module")
def pair() -> tuple[Network, Network]:
    """The network that is read, and the one by hand, of equal weights."""
    torch.manual_seed(0)
    read = Network.from_model(NET.segmenter(), answer="segments", input_size=SIDE)
    by_hand = Network.from_model(ByHand(NET.segmenter()), input_size=SIDE)
    by_hand.model.load_state_dict(read.model.state_dict())
    return read.at(Reading(REGION)), by_hand


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """A photo."""
    return noise().resize((SIDE, SIDE))


@pytest.fixture(scope="module")
def image(pair: Sequence[Network], photo: Image.Image) -> Tensor:
    """The same as input."""
    return pair[0].preprocess(photo, whole=True)


def assert_same(values: Any, expected: Any) -> None:
    size = expected.abs().max().item()
    assert size > 0
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-4 * size)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_what_is_read(pair, image: Tensor, method: str):
    """The same map as of the classifier by hand, whichever model or copy the method runs on."""
    read, by_hand = (attribute(network, image, 1, method, against=2) for network in pair)
    assert_same(read.map, by_hand.map)
    if by_hand.explained is not None:
        assert read.explained == pytest.approx(by_hand.explained, rel=1e-3)


@pytest.mark.parametrize("method", LAYER_METHODS)
def test_feature_maps_of_what_is_read(pair, image: Tensor, method: str):
    """Taps and replays go by the model's paths."""
    layer = Layer("after", "encoder.1.3")
    maps = [attribute_layer(network, image, Target(1), method, layer=layer) for network in pair]
    assert_same(maps[0].map, maps[1].map)


@pytest.mark.parametrize("method", GATE_METHODS)
def test_gates_of_what_is_read(pair, image: Tensor, method: str):
    """Gates are edited by the model's paths."""
    read, by_hand = (
        attribute_gates(network, image, Target(1), method, block="encoder.0.3") for network in pair
    )
    assert_same(read.values, by_hand.values)


@pytest.mark.parametrize("method", NEURON_METHODS)
def test_one_gate_is_explained_in_a_network_that_is_read(pair, image: Tensor, method: str):
    """Also what came through it to the answer."""
    target = Target(1) if method == "conductance" else None
    neuron = Neuron("encoder.0.3", 3)
    # Its sparse model leaves out a gate that hardly moves.
    options: dict[str, Any] = {"alpha": 1e-6} if method == "lime" else {}
    maps = [
        attribute_neuron(network, image, neuron, method, target=target, **options)
        for network in pair
    ]
    assert_same(maps[0].map, maps[1].map)


def test_the_way_through_the_gates_of_what_is_read(pair, image: Tensor):
    """Parts past the gates and through them, and their sum."""
    read, by_hand = (trace_paths(network, image, Target(1)) for network in pair)
    assert read.rise == pytest.approx(by_hand.rise, rel=1e-3)
    assert read.flows.keys() == by_hand.flows.keys()
    for key, flow in read.flows.items():
        assert flow.carried == pytest.approx(by_hand.flows[key].carried, rel=1e-3, abs=1e-5)


def test_effects_and_ablations_of_what_is_read(pair, photo: Image.Image):
    """One channel shut after another, and the slope that foretells it."""
    for run in (
        lambda network: ablate_channels(network, photo, "encoder.1.3", whole=True),
        lambda network: estimate_effects(network, photo, "encoder.1.3", 1, whole=True),
    ):
        read, by_hand = map(run, pair)
        assert_same(read, by_hand)


def test_edits_and_counterfactuals_of_what_is_read(pair, photo: Image.Image):
    """Answers under other gates are those of the classifier by hand."""
    edits = (set_gates(["encoder.0.3"], 0.0, channels=(0, 3)),)
    read, by_hand = (analyse(network, photo, edits=edits, whole=True) for network in pair)
    assert_same(read.logits, by_hand.logits)
    question = Replacement("shuffle", "block")
    rows = [
        run_counterfactuals(
            network, photo, question, gates_of(analyse(network, photo, whole=True)), whole=True
        )
        for network in pair
    ]
    for row, expected in zip(*rows, strict=True):
        assert row.probability == pytest.approx(expected.probability, rel=1e-4)
        assert row.divergence == pytest.approx(expected.divergence, rel=1e-2, abs=1e-7)


def test_scores_and_sanity_of_what_is_read(pair, image: Tensor):
    """Curves are of probabilities, and randomising runs on a copy."""
    exam = Exam(Target(1), steps=4, squares=4, repeats=2)
    scores = []
    for network in pair:
        values = attribute(network, image, 1, "saliency").map
        yardstick = make_yardstick(network, image, exam)
        scores.append(score_map(network, image, values, yardstick.falls))
    assert scores[0].deletion.values == pytest.approx(scores[1].deletion.values, rel=1e-3)
    assert scores[0].infidelity == pytest.approx(scores[1].infidelity, rel=1e-3)
    attribution = attribute(pair[0], image, 1, "saliency")
    before = pair[0].model(image)
    steps = check_sanity(pair[0], image, attribution)
    assert not torch.equal(steps[-1].map, steps[0].map)
    assert torch.equal(pair[0].model(image), before)
