"""Bold words about maps, over many draws of cases in which the truth is known: how often they are wrong."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.controls import make_controls
from se_viz.attribution.erasure import REPEATS, Erasure, check_region, mark_strongest
from se_viz.gates.neurons import Neuron
from se_viz.networks import Network
from se_viz.ui.erasing import describe_erasure

SIDE = 32
HELD = "these pixels held it open"


class Small(nn.Module):
    """A network of one SE block, of random weights; at 32 pixels a pass takes less than a millisecond."""

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


def photo_of(seed: int) -> Image.Image:
    """Return a photo with coarse shapes in it, as photos have."""
    generator = np.random.default_rng(seed)
    small = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def erased(network: Network, photo: Image.Image, values: Tensor, channel: int, seed: int = 0) -> Erasure:
    return check_region(network, photo, mark_strongest(values, 0.1), Neuron("se", channel), fill="mean", seed=seed)


def test_random_patches_hold_a_gate_open_no_more_often_than_by_chance():
    """They know nothing: the sentence says 1 in 41, and 4 of 40 or more come once in 60 tries."""
    wrong = 0
    for case in range(40):
        patches = make_controls(SIDE, SIDE, repeats=1, seed=case)["patches"][0]
        result = erased(untrained(case // 8), photo_of(case), patches, case % 8, seed=case)
        wrong += HELD in describe_erasure(result, "gate")
    assert wrong <= 3


class Bright(nn.Module):
    """A network whose first gate opens with the brightness of the image, wherever it is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.se = SqueezeExcitation(3, 3)
        for name, value in (("fc1.weight", 0.5), ("fc2.weight", 0.3), ("fc2.bias", -3.5)):
            nn.init.constant_(self.se.get_parameter(name), value)

    def forward(self, images: Tensor) -> Tensor:
        """Return the mean of each channel behind its gate."""
        return self.se(images + 3).mean((2, 3))


@pytest.mark.parametrize("place", [(4, 4), (20, 4), (12, 22)])
def test_pixels_that_hold_a_gate_open_are_said_to(place: tuple[int, int]):
    """A bright square is all that opens the gate: a map of it is believed, one of another place is not."""
    network = Network.from_model(Bright().eval().requires_grad_(False), input_size=SIDE)
    down, right = place
    pixels = np.full((SIDE, SIDE, 3), 60, dtype=np.uint8)
    pixels[down : down + 6, right : right + 6] = 255
    values = torch.zeros(SIDE, SIDE)
    values[down : down + 6, right : right + 6] = 1
    photo = Image.fromarray(pixels)
    region, elsewhere = values > 0, values.roll((SIDE // 2, SIDE // 2), (0, 1)) > 0
    right_one, other = (check_region(network, photo, one, Neuron("se", 0), fill="mean") for one in (region, elsewhere))
    assert HELD in describe_erasure(right_one, "gate")
    assert HELD not in describe_erasure(other, "gate")


def test_the_chance_in_the_sentence_is_that_of_its_places():
    """One of all places is furthest, and nothing makes it the map's: 1 in 41."""
    controls = tuple(0.5 + 0.001 * place for place in range(REPEATS))
    result = Erasure(Image.new("RGB", (1, 1)), 0.1, 0.7, 0.4, controls)
    assert result.chance == pytest.approx(1 / 41)
    assert "in 1 of 41 cases" in describe_erasure(result, "gate")
