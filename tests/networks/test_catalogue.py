"""The zoo's table against the libraries it was made from."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn
from torchvision import models, transforms
from torchvision.ops import SqueezeExcitation

from benchmarks.catalogue import timm_rows, torchvision_rows
from se_viz.errors import NetworkError
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import Network, NetworkCard, list_networks
from se_viz.networks.architectures import shapes
from se_viz.networks.catalogue import list_catalogue, read_rows
from se_viz.networks.checkpoints import read_cards
from se_viz.networks.crop import crop_image
from se_viz.networks.hubs import from_address, promise
from se_viz.networks.labels import imagenet_classes

pytestmark = pytest.mark.slow

CARDS = {card.name: card for card in list_catalogue()}
PHOTO = open_image(list_samples()[2].path)
# One of each family, small ones: building all takes minutes.
FEW = (
    "torchvision/efficientnet_b0",
    "torchvision/mobilenet_v3_small",
    "torchvision/regnet_y_400mf.IMAGENET1K_V1",
    "timm/seresnet50.ra2_in1k",
    "timm/legacy_seresnet18.in1k",
    "timm/mobilenetv3_small_050.lamb_in1k",
    "timm/ese_vovnet19b_dw.ra_in1k",
    "timm/ecaresnet26t.ra2_in1k",
    "timm/regnety_002.pycls_in1k",
)


def test_bundled_networks_come_first_and_every_name_is_unique():
    """The first is what the app opens with; a name that two networks share would load the wrong
    one.
    """
    names = [card.name for card in list_networks()]
    assert names[: len(read_cards())] == [card.name for card in read_cards()]
    assert len(set(names)) == len(names)
    libraries = [
        name.split("/")[0] for name in names if "/" in name and not name.startswith("own/")
    ]
    assert libraries == sorted(libraries, key=["torchvision", "timm"].index)


def test_the_table_has_every_family_that_people_ask_for():
    """The networks named in papers on SE, by the names of their libraries."""
    architectures = {card.architecture for card in CARDS.values()}
    assert architectures >= {
        "seresnet50",
        "legacy_senet154",
        "efficientnet_b0",
        "efficientnet_v2_l",
        "mobilenet_v3_large",
        "regnet_y_128gf",
        "regnety_320",
        "ecaresnet50t",
        "ese_vovnet39b",
    }


def test_torchvision_has_22_classifiers_with_gates():
    """By their papers: EfficientNet B0 to B7, V2 S, M and L, MobileNetV3 large and small, RegNetY,
    and MaxViT.
    """
    by_hand = [f"efficientnet_b{index}" for index in range(8)] + [
        f"efficientnet_v2_{size}" for size in "sml"
    ]
    by_hand += ["mobilenet_v3_large", "mobilenet_v3_small", "maxvit_t"]
    by_hand += [
        f"regnet_y_{work}"
        for work in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf", "128gf")
    ]
    architectures = {card.architecture for card in CARDS.values() if card.library == "torchvision"}
    assert architectures == set(by_hand)


@pytest.mark.parametrize("name", FEW)
def test_a_row_is_what_the_installed_library_says(name: str):
    """The table is made by a script and kept in the package: with other pins it has to be made
    again.
    """
    card = CARDS[name]
    rows = {"torchvision": torchvision_rows, "timm": timm_rows}[card.library](card.architecture)
    expected = next(row for row in rows if row["weights"] == card.weights)
    key = (card.library, card.architecture, card.weights)
    row = next(
        row for row in read_rows() if (row["library"], row["architecture"], row["weights"]) == key
    )
    assert {column: str(value) for column, value in expected.items()} == row


@pytest.mark.parametrize("name", [name for name in FEW if name.startswith("torchvision")])
def test_multiply_adds_are_those_that_torchvision_states(name: str):
    """torchvision counts with fvcore, which shares no code with PyTorch's counter, and rounds to
    three digits.
    """
    card = CARDS[name]
    meta = next(
        entry for entry in models.get_model_weights(card.architecture) if entry.name == card.weights
    ).meta
    assert card.parameters == meta["num_params"]
    assert card.gflops == pytest.approx(meta["_ops"], abs=0.001)
    assert card.top1 == pytest.approx(meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100)
    assert card.download_bytes == pytest.approx(meta["_file_size"] * 2**20, rel=0.001)


def test_se_adds_what_the_paper_says():
    """(2 / r) * sum of N_s C_s^2 (Hu et al., section 3.2) for SE-ResNet-50, r = 16, and its
    biases: 2,530,992.
    """
    stages = ((3, 256), (4, 512), (6, 1024), (3, 2048))
    weights = 2 / 16 * sum(blocks * channels**2 for blocks, channels in stages)
    biases = sum(blocks * (channels + channels // 16) for blocks, channels in stages)
    card = CARDS["timm/legacy_seresnet50.in1k"]
    assert (card.blocks, card.se_parameters) == (16, weights + biases)
    # Every weight of an excitation is used once an image.
    assert card.se_gflops == pytest.approx(weights / 1e9, abs=1e-6)


@pytest.mark.parametrize("name", FEW)
def test_a_row_is_built_by_its_name(name: str):
    """Shapes are enough: names of architectures change from one release to the next."""
    card = CARDS[name]
    model = shapes(card, num_classes=card.num_classes)
    assert sum(value.numel() for value in model.parameters()) == card.parameters


def test_every_name_is_known_to_its_library():
    """Building all takes minutes; asking for the names does not."""
    names = {
        "torchvision": set(models.list_models(models)),
        "timm": set(timm.list_models(pretrained=True)),
    }
    for card in CARDS.values():
        name = (
            card.architecture
            if card.library == "torchvision"
            else f"{card.architecture}.{card.weights}"
        )
        assert name in names[card.library]


def test_every_file_at_an_address_promises_a_hash():
    """torch hub's client checks the digits in a file's name, and checks nothing where there are
    none.
    """
    files = [card.source for card in CARDS.values() if from_address(card)]
    assert files
    assert [file for file in files if not promise(Path(file))] == []


def stated_transform(card: NetworkCard) -> Callable[[Image.Image], Tensor]:
    """Return how torchvision or timm itself turns a photo into the input of one of its networks."""
    if card.library == "torchvision":
        return models.get_model_weights(card.architecture)[card.weights].transforms()
    stated = timm.get_pretrained_cfg(f"{card.architecture}.{card.weights}")
    assert stated is not None
    transform = create_transform(**resolve_data_config(pretrained_cfg=stated.to_dict()))
    # The other kind is made for TensorFlow's data alone.
    assert isinstance(transform, transforms.Compose)
    return transform


def _stand_in(card: NetworkCard) -> Network:
    # What it computes does not count here, and the networks themselves would take minutes to build.
    model = nn.Sequential(SqueezeExcitation(3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Network(model, replace(card, classes=tuple("rgb")), torch.device("cpu"))


@pytest.mark.parametrize("name", [*FEW, "timm/mobilenetv3_large_100.ra_in1k"])
def test_a_photo_becomes_the_input_that_the_source_states(name: str):
    """torchvision's and timm's own transforms, bit for bit: the same steps of the same library in
    the same order.
    """
    card = CARDS[name]
    torch.testing.assert_close(
        _stand_in(card).preprocess(PHOTO)[0], stated_transform(card)(PHOTO), rtol=0, atol=1e-6
    )


def test_a_squashed_photo_keeps_all_of_it():
    """35 of timm's networks scale both sides; nothing is cut off where the whole is shown."""
    card = next(
        card for card in CARDS.values() if card.crop == "squash" and card.resize == card.input_size
    )
    wide = Image.new("RGB", (200, 100), "white")
    wide.paste("red", (0, 0, 20, 100))
    assert crop_image(wide, card.view).getpixel((2, card.input_size // 2)) == (255, 0, 0)


# One network for each way that sources scale and cut; large inputs, which take long, once for each
# rule.
WAYS = {
    (
        card.library,
        card.crop,
        card.interpolation,
        card.view if card.input_size <= 256 else card.resize == card.input_size,
    ): card.name
    for card in CARDS.values()
}


@pytest.mark.parametrize("name", WAYS.values())
def test_photos_of_every_size_become_the_input_that_the_source_states(name: str):
    """A photo of exactly the input's size too is scaled and cut by torchvision and timm, and so
    are odd shapes.
    """
    card = CARDS[name]
    side = card.input_size
    transform = stated_transform(card)
    network = _stand_in(card)
    for size in ((side, side), (side - 1, side + 1), (side + 90, side + 3), (5, 7), (20, 300)):
        photo = PHOTO.resize(size, Image.Resampling.NEAREST)
        torch.testing.assert_close(
            network.preprocess(photo)[0], transform(photo), rtol=0, atol=1e-6
        )


def test_a_square_is_taken_whole_only_on_request():
    """What a page shows is run as it is: cropping twice would cut the margin twice."""
    ours = _stand_in(CARDS["torchvision/efficientnet_b0"])
    square = ours.crop(PHOTO)
    assert torch.equal(ours.preprocess(square, whole=True), ours.preprocess(PHOTO))
    # 256 of 224 pixels: the margin is cut again.
    assert not torch.equal(ours.preprocess(square), ours.preprocess(PHOTO))
    with pytest.raises(
        NetworkError, match=r"300 x 200 pixels.* sees 224 x 224.*Cut it out with `Network\.crop`"
    ):
        ours.preprocess(PHOTO.resize((300, 200)), whole=True)


def test_classes_have_their_names():
    """torchvision's 1,000 names; the first and the last are those of ImageNet's own list."""
    card = CARDS["timm/seresnet50.ra2_in1k"]
    assert (len(card.classes), card.classes[0], card.classes[-1]) == (
        1000,
        "tench",
        "toilet tissue",
    )


def test_larger_sets_have_timms_names():
    """ImageNet-12k has 11,821 classes, and a network of them answers one of their names."""
    assert len(imagenet_classes(11821)) == 11821
    assert "class" not in imagenet_classes(11821)[0]
    assert imagenet_classes(3) == ("class 0", "class 1", "class 2")
