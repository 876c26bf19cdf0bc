from collections.abc import Callable

import pytest
import torch
from PIL import Image
from torch import nn

from se_viz.errors import DataError, LimitError
from se_viz.experiments.checkup import check_network, find_dead, read_limits
from se_viz.gates import Limits, capture_gates
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import Network

PATHS = [sample.path for sample in list_samples()[:2]]


class Block(nn.Module):
    """An SE block after a ReLU or without one, some of whose channels are dead."""

    def __init__(self, *, rectified: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.act = nn.ReLU() if rectified else nn.Identity()
        self.se = SELayer()
        self.head = nn.Linear(8, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (batch, 5) logits."""
        return self.head(self.se(self.act(self.stem(images))).mean((2, 3)))


class SELayer(nn.Module):
    """An SE block as research code writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(8, 2), nn.ReLU(), nn.Linear(2, 8), nn.Sigmoid())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features times their gates."""
        return features * self.fc(features.mean((2, 3)))[:, :, None, None]


@pytest.fixture
def make() -> Callable[..., Network]:
    """Return a function that makes a small network of one block."""

    def build(*, rectified: bool, dead: int) -> Network:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = Block(rectified=rectified)
        with torch.no_grad():
            # Below every ReLU, or zero whatever the image is.
            model.stem.weight[:dead] = 0
            assert model.stem.bias is not None
            model.stem.bias[:dead] = -1.0 if rectified else 0.0
        return Network.from_model(model, input_size=32)

    return build


def records_of(network: Network, image: Image.Image) -> list:
    with torch.inference_mode(), capture_gates(network.model) as records:
        network.model(network.preprocess(image))
    return records


@pytest.mark.parametrize("rectified", [True, False])
def test_dead_channels_are_found_whatever_comes_before_the_block(
    make: Callable[..., Network], rectified: bool
):
    """Three channels of the layer before it are zero by construction, and the others see the
    image.
    """
    network = make(rectified=rectified, dead=3)
    records = {path: records_of(network, open_image(path)) for path in PATHS}
    assert [block.dead for block in check_network(network, records)] == [3]


def test_a_channel_that_lives_in_one_image_lives(make: Callable[..., Network]):
    """Filters that add up all they see give less than 0 for black, which is normalised to less,
    and not for white.
    """
    network = make(rectified=True, dead=0)
    stem = network.model.get_submodule("stem")
    assert isinstance(stem, nn.Conv2d)
    nn.init.ones_(stem.weight)
    assert stem.bias is not None
    nn.init.zeros_(stem.bias)
    black, white = (Image.new("RGB", (32, 32), colour) for colour in ("black", "white"))
    assert [
        find_dead(network, images, ["se"]) for images in ([black], [white], [black, white])
    ] == [
        {"se": 8},
        {"se": 0},
        {"se": 0},
    ]


def test_where_all_is_told_there_is_no_second_pass(make: Callable[..., Network]):
    """A network without a dead channel costs one pass an image, so no image is opened again."""

    images = iter([open_image(PATHS[0])])
    assert find_dead(make(rectified=False, dead=0), images, []) == {}
    assert len(list(images)) == 1


def test_limits_are_read_from_words():
    """Only what is named is replaced."""
    assert read_limits(["constant=0.1", "most=0.5"]) == Limits(constant=0.1, most=0.5)
    assert read_limits([]) == Limits()


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        (
            "fxed=1",
            r"There is no limit 'fxed'\. Choose one of constant, middle, end, most, dead, fixed, "
            r"as constant=",
        ),
        ("fixed", r"'' is no number for the limit fixed\. Write it as fixed=0\.05\."),
        ("fixed=low", r"'low' is no number for the limit fixed\."),
        ("fixed=2", r"The limit fixed is 2\. Choose one between 0 and 1\."),
    ],
)
def test_a_limit_that_cannot_be_read_is_said(word: str, sentence: str):
    """A slip of the pen must not judge by another limit in silence."""
    with pytest.raises(LimitError, match=sentence):
        read_limits([word])


def test_no_image_is_no_health(make: Callable[..., Network]):
    """An empty answer would read as a healthy network."""
    with pytest.raises(DataError, match="There are no gates to check"):
        check_network(make(rectified=True, dead=0), {})
