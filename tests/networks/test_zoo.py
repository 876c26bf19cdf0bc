import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from se_viz.errors import CheckpointError, DeviceError, NetworkError
from se_viz.networks import Network, NetworkCard, list_networks, load_network
from se_viz.networks.checkpoints import FOLDER, read_cards
from se_viz.networks.weights import save_checkpoint

pytestmark = pytest.mark.slow


def test_networks_are_listed_by_name(network_folder: Path, se_net: nn.Module, card: NetworkCard):
    """The order of a menu must not depend on the file system."""
    save_checkpoint(se_net, replace(card, name="ant"), network_folder)
    assert [network.name for network in list_networks(network_folder)] == ["ant", "tiny"]


def test_a_loaded_network_is_ready_to_look(network: Network):
    """Evaluation mode, so that one image's answer does not depend on its batch; frozen, so that
    nothing learns.
    """
    assert not any(module.training for module in network.model.modules())
    assert not any(value.requires_grad for value in network.model.parameters())
    assert network.device == torch.device("cpu")
    assert {value.device for value in network.model.parameters()} == {network.device}
    assert network.classes == ("ant", "bee", "cat", "dog", "elk")


def test_every_load_is_a_network_of_its_own(network: Network, network_folder: Path):
    """Somebody who edits one network must not edit everybody's."""
    nn.init.zeros_(network.model.get_parameter("fc.weight"))
    copy = load_network("tiny", "cpu", folder=network_folder)
    assert copy.model.get_parameter("fc.weight").abs().sum() > 0


def test_an_unknown_name_is_refused_with_the_known_ones(network_folder: Path):
    """The message is the list to choose from."""
    with pytest.raises(NetworkError, match=r"no network 'tinny'\. Choose one of: tiny\."):
        load_network("tinny", folder=network_folder)


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_folder_without_networks_says_how_to_get_one(tmp_path: Path, name: str):
    """There is nothing to choose from, so the next step is to train."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        NetworkError, match=r"no network 'tiny'\. Train one with `python -m se_viz train`\."
    ):
        load_network("tiny", folder=tmp_path / name)


def test_a_device_that_is_not_there_is_refused(network_folder: Path):
    """No machine has a hundredth GPU; falling back to the CPU in silence would make a timing a
    lie.
    """
    with pytest.raises(DeviceError, match="no device 'cuda:99' on this machine"):
        load_network("tiny", "cuda:99", folder=network_folder)


def test_preprocess_normalises_each_colour(network: Network):
    """By hand for one colour: (value / 255 - mean) / std, with the mean and std of the card."""
    inputs = network.preprocess(Image.new("RGB", (64, 64), (255, 51, 0)))
    expected = torch.tensor([(1 - 0.485) / 0.229, (51 / 255 - 0.456) / 0.224, -0.406 / 0.225])
    torch.testing.assert_close(inputs, expected.view(1, 3, 1, 1).expand(1, 3, 64, 64))


@pytest.mark.parametrize("size", [(64, 64), (200, 100), (100, 300), (7, 5)])
def test_preprocess_gives_one_square_of_the_networks_size(network: Network, size: tuple[int, int]):
    """Any photo becomes a batch of one."""
    inputs = network.preprocess(Image.new("RGB", size))
    assert (inputs.shape, inputs.dtype, inputs.device) == (
        (1, 3, 64, 64),
        torch.float32,
        network.device,
    )


def test_the_crop_is_the_centre(network: Network):
    """A picture whose shorter side fits needs no scaling: its middle comes back, pixel for
    pixel.
    """
    image = Image.linear_gradient("L").rotate(90).convert("RGB").crop((0, 0, 128, 64))
    assert network.crop(image).tobytes() == image.crop((32, 0, 96, 64)).tobytes()


def test_the_network_sees_what_the_crop_shows(network: Network):
    """The picture beside the gates must be the picture that made them."""
    image = Image.effect_mandelbrot((100, 80), (-2, -1, 1, 1), 50).convert("RGB")
    assert torch.equal(network.preprocess(network.crop(image)), network.preprocess(image))


BUNDLED = {card.name: card for card in read_cards()}


def test_a_network_is_bundled():
    """The app opens with a network at hand; without one every page ends in a sentence."""
    assert BUNDLED


def test_the_first_one_is_the_one_that_everything_begins_with():
    """By name the other one would come first."""
    assert [*BUNDLED] == ["se_resnet50_half_imagenette", "se_efficientnet_lite0"]
    assert list_networks()[:2] == read_cards()


@pytest.mark.parametrize("bundled", BUNDLED.values(), ids=BUNDLED)
def test_a_bundled_network_loads(bundled: NetworkCard):
    """Hash, names, shapes and finite values are checked on the way; the card's count is the
    model's.
    """
    network = load_network(bundled.name, "cpu")
    assert bundled.parameters == sum(value.numel() for value in network.model.parameters())
    with torch.inference_mode():
        logits = network.model(torch.zeros(1, 3, bundled.input_size, bundled.input_size))
    assert logits.shape == (1, len(bundled.classes))


@pytest.mark.parametrize("bundled", BUNDLED.values(), ids=BUNDLED)
def test_a_bundled_network_is_small_enough_for_a_clone(bundled: NetworkCard):
    """Every clone and every install carries the file: at most 20 MB."""
    assert (FOLDER / f"{bundled.name}.safetensors").stat().st_size <= 20_000_000


@pytest.mark.parametrize("bundled", BUNDLED.values(), ids=BUNDLED)
def test_a_bundled_card_is_filled_in(bundled: NetworkCard):
    """A reader may ask about data, command, licence and accuracy of any weights we ship."""
    blank = {name for name, value in asdict(bundled).items() if value in ("", None)}
    assert blank <= {"notes", "weights", "source", "resize", "preprocess", "lenders", "twin"}
    assert bundled.top1 is not None
    assert 0 < bundled.top1 <= 1
    assert bundled.blocks == 16
    assert len(set(bundled.classes)) == len(bundled.classes)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("classes", "ab", "classes is 'ab'"),
        ("input_size", "64", "input_size is '64'"),
        ("mean", [0.5, 0.5], "mean is"),
        ("name", "../tiny", "is the card of '../tiny'"),
        ("arguments", {"depth": 3}, "arguments that cannot be built"),
    ],
)
def test_a_card_with_a_wrong_value_is_refused(
    network_folder: Path, field: str, value: object, message: str
):
    """A card is a text file that people edit: each slip is named, and no name leads out of the
    folder.
    """
    path = network_folder / "tiny.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(CheckpointError, match=message):
        load_network("tiny", "cpu", folder=network_folder)
