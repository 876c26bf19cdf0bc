import pytest
import timm
import torch
from torch import Tensor, nn

from se_viz.attribution.layers.run import attribute_layer
from se_viz.attribution.question.places import Layer, find_spot
from se_viz.attribution.question.targets import Target
from se_viz.errors import AttributionError
from se_viz.gates.taps import Spot
from se_viz.networks import Network
from tests.support.reused import Last, Twice

BLOCK = "layer3.2.bn3.1"


def test_sides_of_a_block_are_what_its_module_takes_in_and_puts_out(network: Network):
    """U is the input and X~ the output of the module that multiplies, checked bit for bit when it
    was found.
    """
    assert find_spot(network, Layer("before", BLOCK)) == Spot(BLOCK, after=False)
    assert find_spot(network, Layer("after", BLOCK)) == Spot(BLOCK, after=True)
    assert find_spot(network, Layer("end", 4)) == Spot("layer3")


def test_a_second_use_is_a_place_of_its_own():
    """Blocks may share their weights: the name says which use is meant."""
    network = Network.from_model(Twice(), input_size=16)
    assert find_spot(network, Layer("after", "se#2")) == Spot("se", after=True, call=1)


@pytest.mark.parametrize("build", [Twice, Last])
def test_a_stage_without_an_end_of_its_own_is_refused(build: type[nn.Module]):
    """The last of two uses, or another order of axes: which tensor ends the stage is not known, so
    none is drawn.
    """
    network = Network.from_model(build(), input_size=16)
    with pytest.raises(
        AttributionError, match=r"No module ends stage 0 alone: .*Choose a block of it instead"
    ):
        find_spot(network, Layer("end", 0))
    assert attribute_layer(
        network, torch.ones(1, 3, 16, 16), Target(0), layer=Layer("after", "se")
    ).map.shape == (
        16,
        16,
    )


def test_a_block_that_is_not_drawn_is_refused_with_its_reason():
    """In a block that multiplies differently U and X~ are not what this page says they are."""
    model = timm.create_model("seresnet18")
    block = model.get_submodule("layer1.0.se")

    def halved(features: Tensor) -> Tensor:
        return type(block).forward(block, features) / 2

    block.forward = halved
    network = Network.from_model(model, input_size=64)
    with pytest.raises(
        AttributionError,
        match=r"Its output is not its input times its gate\. Choose among: layer1\.1",
    ):
        find_spot(network, Layer("after", "layer1.0.se"))


@pytest.mark.parametrize(
    "name",
    ["seresnet18", "mobilenetv3_small_050", "ecaresnet26t", "ese_vovnet19b_dw", "hgnet_tiny"],
)
def test_both_sides_and_ends_work_for_other_spellings(name: str):
    """U times its gate is X~, so the sum of X~ dL/dX~ is that of the gates: finite maps of each
    stage's own size.
    """
    torch.manual_seed(0)
    network = Network.from_model(timm.create_model(name), input_size=64)
    inputs = torch.randn(1, 3, 64, 64)
    for site in network.inspection.sites[-1:]:
        for layer in (
            Layer("before", site.name),
            Layer("after", site.name),
            Layer("end", site.stage),
        ):
            attribution = attribute_layer(network, inputs, Target(0), "activation", layer=layer)
            assert attribution.map.shape == (64 >> site.stage, 64 >> site.stage)
            if layer.where != "end":
                assert len(attribution.values) == site.channels
