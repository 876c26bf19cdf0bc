"""One pass of an image serves all feature maps that a method asks no more of, and each gives what
it would alone.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.catalogue.layers import LAYER_METHODS
from se_viz.attribution.layers.run import attribute_layer, attribute_layers
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.question.places import Layer, end_spots
from se_viz.attribution.question.targets import Target
from se_viz.gates import capture_gates
from se_viz.gates.taps import Spot
from se_viz.networks import Network
from tests.support.passes import Passes
from tests.support.reused import Twice

pytestmark = pytest.mark.slow

TARGET = Target(2)
MIDDLE = "layer3.2.bn3.1"
LAYERS = (
    *(Layer("end", stage) for stage in (2, 3, 4, 5)),
    Layer("before", MIDDLE),
    Layer("after", MIDDLE),
)
SINGLE = [key for key, row in LAYER_METHODS.items() if row.single]


@pytest.fixture
def passes() -> Iterator[list[int]]:
    """How many images each pass of a network held."""
    with Passes() as passes:
        yield passes.sizes


def test_methods_that_ask_for_no_more_are_known():
    """Activation reads the pass, Grad-CAM and Gradient x Activation its derivative; others have
    steps or baselines.
    """
    assert SINGLE == ["grad_cam", "gradient_x_activation", "activation"]


def test_one_pass_serves_all_feature_maps(network: Network, image: Tensor, passes: list[int]):
    """Four stages and both sides of a gate: each method that is asked about them runs the network
    once.
    """
    attributions = {
        key: attribute_layers(network, image, TARGET, key, layers=LAYERS) for key in SINGLE
    }
    assert passes == [1] * len(SINGLE)
    for key, maps in attributions.items():
        for layer, attribution in zip(LAYERS, maps, strict=True):
            alone = attribute_layer(network, image, TARGET, key, layer=layer)
            assert (attribution.layer, attribution.method) == (layer, key)
            assert torch.equal(attribution.values, alone.values)
            assert torch.equal(attribution.map, alone.map)


def test_methods_with_steps_go_from_one_feature_map_to_the_next(network: Network, image: Tensor):
    """Each point on the way is a pass of its own; the values are those of one feature map alone."""
    settings: dict[str, Any] = {"method": "integrated_gradients", "n_steps": 4}
    attributions = attribute_layers(network, image, TARGET, layers=LAYERS[:2], **settings)
    for layer, attribution in zip(LAYERS, attributions, strict=False):
        assert torch.equal(
            attribution.values,
            attribute_layer(network, image, TARGET, layer=layer, **settings).values,
        )


def test_no_feature_map_is_no_question(network: Network, image: Tensor, passes: list[int]):
    """Where none of the stages can be explained."""
    assert attribute_layers(network, image, TARGET, layers=[]) == []
    assert passes == []


def test_what_others_saw_is_not_written_to(network: Network, image: Tensor):
    """Who changes a map, or asks for its graph, must not change that of the next one."""
    expected = attribute_layer(network, image, TARGET, layer=LAYERS[0])
    values = expected.values.clone()
    expected.values.zero_()
    again = attribute_layer(network, image, TARGET, layer=LAYERS[0])
    assert torch.equal(again.values, values)
    assert not again.values.requires_grad


def test_inside_a_capture_every_pass_runs(network: Network, image: Tensor, passes: list[int]):
    """It would record nothing otherwise, and see the gates of before."""
    expected = attribute_layers(network, image, TARGET, layers=LAYERS)
    with capture_gates(network.model) as records:
        attributions = attribute_layers(network, image, TARGET, layers=LAYERS)
    assert passes == [1, 1]
    assert len(records) == 16
    assert all(
        torch.equal(attribution.map, reference.map)
        for attribution, reference in zip(attributions, expected, strict=True)
    )


class Aside(nn.Module):
    """An answer to which the second block adds nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.first = SqueezeExcitation(3, 2)
        self.second = SqueezeExcitation(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit a channel."""
        features = self.first(images)
        self.second(features)
        return features.mean((2, 3))


def test_a_feature_map_without_influence_has_no_slope():
    """Its derivative is 0, and so are the maps; the first block's is that of a mean, as by hand."""
    network = Network.from_model(Aside(), input_size=8)
    image = torch.rand(1, 3, 8, 8)
    layers = [Layer("after", "first"), Layer("after", "second")]
    first, second = attribute_layers(network, image, TARGET, "gradient_x_activation", layers=layers)
    assert second.values.abs().max() == 0
    scaled = image * network.model.get_submodule("first").get_submodule("scale_activation")(
        network.model.get_submodule("first").get_submodule("fc2")(
            network.model.get_submodule("first")
            .get_submodule("fc1")(image.mean((2, 3), keepdim=True))
            .relu()
        )
    )
    torch.testing.assert_close(first.map, scaled[0, 2] / 64)


class Paired(nn.Module):
    """A stage that puts out two tensors, of which the network goes on with one."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Both()

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit a channel."""
        return self.stage(images)[0].mean((2, 3))


class Both(nn.Module):
    """What the stage puts out."""

    def __init__(self) -> None:
        super().__init__()
        self.se = SqueezeExcitation(3, 2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same twice."""
        features = self.se(images)
        return features, features


def test_a_stage_without_a_feature_map_does_not_stop_saliency():
    """What ends the last stage matters to Grad-CAM alone."""
    network = Network.from_model(Paired(), input_size=8)
    image = torch.rand(1, 3, 8, 8)
    leaf = image.clone().requires_grad_()
    (slope,) = torch.autograd.grad(network.model(leaf)[0, 2], leaf)
    assert torch.equal(attribute(network, image, 2, "saliency").map, slope[0].abs().amax(0))


def test_a_block_that_ends_its_stage_ends_it_with_its_last_use():
    """What comes out of its first use goes into it once more."""
    network = Network.from_model(Twice(), input_size=16)
    assert [spot for spot in end_spots(network).values() if spot.path == "se"] == [
        Spot("se", call=1)
    ]
