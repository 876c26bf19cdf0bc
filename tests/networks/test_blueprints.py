"""Every architecture with SE gates can be named, also one that nobody has published weights of."""

import pytest
import timm

from se_viz.errors import NetworkError
from se_viz.gates.places import scan_model
from se_viz.networks import list_networks
from se_viz.networks.architectures import build
from se_viz.networks.blueprints import find_architecture

pytestmark = pytest.mark.slow


def test_an_architecture_without_published_weights_is_found():
    """timm builds SE-ResNet-18 and has no weights of it: 2 + 2 + 2 + 2 blocks, as of ResNet-18."""
    assert not timm.list_models("seresnet18.*", pretrained=True)
    assert not [card for card in list_networks() if card.architecture == "seresnet18"]
    card = find_architecture("timm/seresnet18")
    assert (card.name, card.library, card.weights, card.source) == (
        "timm/seresnet18",
        "timm",
        "",
        "",
    )
    model = build(card, num_classes=7)
    assert len(scan_model(model).blocks) == 8
    assert model.get_submodule("fc").get_parameter("weight").shape == (7, 512)
    assert find_architecture("seresnet18") == card


def test_what_timm_states_of_the_input_is_taken():
    """timm's own table: 224 pixels, of an image scaled to 256, in ImageNet's colours."""
    card = find_architecture("timm/seresnet18")
    assert (card.input_size, card.resize, card.crop, card.interpolation) == (
        224,
        256,
        "centre",
        "bicubic",
    )
    stated = timm.get_pretrained_cfg("seresnet18")
    assert stated is not None
    assert (card.mean, card.std) == (stated.mean, stated.std)


@pytest.mark.parametrize(
    "name", ["timm/seresnet50", "timm/seresnet50.ra2_in1k", "torchvision/mobilenet_v3_small"]
)
def test_a_listed_name_is_the_listed_card(name: str):
    """What was taken before means what it meant."""
    listed = [
        card
        for card in list_networks()
        if name in (card.name, f"{card.library}/{card.architecture}")
    ]
    assert find_architecture(name) == listed[0]


def test_a_depth_of_ours_is_found():
    """At full width, by its name alone."""
    card = find_architecture("se_resnet34")
    assert (card.library, card.architecture, card.arguments) == ("se_viz", "se_resnet34", {})


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("timm/seresnet5", "timm/seresnet50"),
        ("seresnt18", "timm/seresnet18"),
        ("se_resnet51", "se_resnet50"),
        ("torchvision/eficientnet_b0", "efficientnet_b0"),
    ],
)
def test_a_misspelt_name_suggests_near_ones(name: str, near: str):
    """Nobody types 26 letters right at the first time."""
    with pytest.raises(NetworkError, match="There is no architecture") as error:
        find_architecture(name)
    sentence = str(error.value)
    assert near in sentence.partition("Did you mean ")[2].partition("?")[0]


def test_only_architectures_with_gates_are_suggested():
    """To be led to a network without SE blocks would be the next refusal."""
    with pytest.raises(NetworkError, match="no architecture") as error:
        find_architecture("timm/resnet5")
    assert "timm/resnet50" not in str(error.value)


def test_an_architecture_without_gates_is_refused_at_once():
    """Before weights are read: there would be nothing to see."""
    with pytest.raises(NetworkError, match=r"timm/resnet18 has no SE block.*networks`, or another"):
        find_architecture("timm/resnet18")


def test_a_name_that_is_near_nothing_is_said_without_a_guess():
    """A guess far from what was typed helps nobody."""
    with pytest.raises(NetworkError, match=r"no architecture 'qqqqqqqq'\. Choose the name"):
        find_architecture("qqqqqqqq")
