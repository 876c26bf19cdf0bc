"""Bold words about maps, over many draws of cases in which the truth is known: how often they are
wrong.
"""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from benchmarks.verdicts import SIDE, Small, untrained
from se_viz.attribution.gates.erasure import REPEATS, Erasure, check_region, mark_strongest
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.question.targets import Target
from se_viz.attribution.scores.controls import make_controls
from se_viz.attribution.scores.curves import Exam
from se_viz.attribution.scores.sanity import check_sanity, describe_steps
from se_viz.attribution.scores.scores import Yardstick, describe_scores, make_yardstick
from se_viz.gates.neurons import Neuron
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import Network, list_networks, load_network
from se_viz.ui.microscope.erasing import describe_erasure

pytestmark = pytest.mark.slow

HELD = "these pixels held it open"


def photo_of(seed: int) -> Image.Image:
    """Return a photo with coarse shapes in it, as photos have."""
    generator = np.random.default_rng(seed)
    small = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def erased(
    network: Network, photo: Image.Image, values: Tensor, channel: int, seed: int = 0
) -> Erasure:
    return check_region(
        network, photo, mark_strongest(values, 0.1), Neuron("se", channel), fill="mean", seed=seed
    )


def test_random_patches_hold_a_gate_open_no_more_often_than_by_chance():
    """They know nothing: the sentence says 1 in 41, and 3 of 20 or more come once in 80 tries."""
    wrong = 0
    for case in range(20):
        patches = make_controls(SIDE, SIDE, repeats=1, seed=case)["patches"][0]
        result = erased(untrained(case // 4), photo_of(case), patches, case % 8, seed=case)
        wrong += HELD in describe_erasure(result, "gate")
    assert wrong <= 2


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
    """A bright square is all that opens the gate: a map of it is believed, one of another place is
    not.
    """
    network = Network.from_model(Bright().eval().requires_grad_(False), input_size=SIDE)
    down, right = place
    pixels = np.full((SIDE, SIDE, 3), 60, dtype=np.uint8)
    pixels[down : down + 6, right : right + 6] = 255
    values = torch.zeros(SIDE, SIDE)
    values[down : down + 6, right : right + 6] = 1
    photo = Image.fromarray(pixels)
    bright = values > 0
    dark = values.roll((SIDE // 2, SIDE // 2), (0, 1)) > 0
    bright_result, dark_result = (
        check_region(network, photo, region, Neuron("se", 0), fill="mean")
        for region in (bright, dark)
    )
    assert HELD in describe_erasure(bright_result, "gate")
    assert HELD not in describe_erasure(dark_result, "gate")


def test_pixels_that_hold_a_gate_down_are_said_to():
    """A bright square is all that closes the gate: without it the gate rises, and in the words of
    opening nothing is said.
    """
    model = Bright()
    with torch.no_grad():
        model.se.get_parameter("fc2.weight").fill_(-0.3)
        model.se.get_parameter("fc2.bias").fill_(3.5)
    network = Network.from_model(model.eval().requires_grad_(False), input_size=SIDE)
    pixels = np.full((SIDE, SIDE, 3), 60, dtype=np.uint8)
    pixels[4:10, 20:26] = 255
    values = torch.zeros(SIDE, SIDE)
    values[4:10, 20:26] = -1
    region = mark_strongest(values, 1.0, sign=-1)
    arguments = (network, Image.fromarray(pixels), region, Neuron("se", 0))
    closed = check_region(*arguments, fill="mean", sign=-1)
    assert "these pixels held it down" in describe_erasure(closed, "gate")
    opened = check_region(*arguments, fill="mean")
    assert "no sign** that these pixels opened it" in describe_erasure(opened, "gate")


def test_the_chance_in_the_sentence_is_that_of_its_places():
    """One of all places is furthest, and nothing makes it the map's: 1 in 41."""
    controls = tuple(0.5 + 0.001 * place for place in range(REPEATS))
    result = Erasure(Image.new("RGB", (1, 1)), 0.1, 0.7, 0.4, controls)
    assert result.chance == pytest.approx(1 / 41)
    assert "in 1 of 41 cases" in describe_erasure(result, "gate")


# In bold: where it cannot be told, the same words stand in the question.
LEARNED = "depends on the learned weights**"
IN_PART = "depends in part on the learned weights**"


def verdict_of(network: Network, photo: Image.Image, method: str, seed: int = 0) -> str:
    """Return the sentence about the most probable class."""
    inputs = network.preprocess(photo)
    with torch.no_grad():
        best = int(network.model(inputs).argmax())
    attribution = attribute(network, inputs, best, method)
    return describe_steps(method, check_sanity(network, inputs, attribution, seed=seed))[0]


def test_networks_that_have_learned_nothing_are_told_of_learning_no_more_often_than_by_chance():
    """Their map is one draw of what shuffled weights give: 1 in 20 is allowed, and 4 of 20 come
    once in 60 tries.
    """
    sentences = [
        verdict_of(
            untrained(case), photo_of(case), ("saliency", "input_x_gradient")[case % 2], seed=case
        )
        for case in range(20)
    ]
    assert sum(LEARNED in sentence or IN_PART in sentence for sentence in sentences) <= 3


class Even(Small):
    """A network of equal weights: shuffling changes nothing, so that every map shows the photo
    alone.
    """

    def __init__(self) -> None:
        super().__init__()
        for weights in self.parameters():
            nn.init.constant_(weights, 0.1)


def test_a_map_that_no_weight_changes_shows_the_photo():
    """All twenty maps are the same to the bit: the word is that it hardly changes, and learning is
    not spoken of.
    """
    network = Network.from_model(Even().eval().requires_grad_(False), input_size=SIDE)
    sentence = verdict_of(network, photo_of(0), "input_x_gradient")
    assert sentence.startswith("**input_x_gradient hardly changes with the weights**")
    assert LEARNED not in sentence


class Dead(Small):
    """A network whose last layer lets nothing through: every map is zero."""

    def __init__(self) -> None:
        super().__init__()
        nn.init.zeros_(self.head.weight)


def test_a_map_of_zeros_is_called_one_and_never_learned():
    """No weight could be seen in it."""
    network = Network.from_model(Dead().eval().requires_grad_(False), input_size=SIDE)
    assert verdict_of(network, photo_of(0), "saliency").startswith("**saliency is a map of zeros**")


class Gone(Small):
    """A network that answers by a path which any other order of its biases shuts: shuffled, its
    maps are zero.
    """

    def __init__(self) -> None:
        super().__init__()
        bias = torch.full((8,), -1000.0)
        bias[0] = 1.0
        self.stem.bias = nn.Parameter(bias)
        nn.init.zeros_(self.head.weight)
        self.head.weight.data[:, 0] = 1.0


def test_shuffled_networks_with_maps_of_zeros_prove_nothing():
    """What died with the shuffle tells nothing of the map: too few maps are left, and the sentence
    says that.
    """
    network = Network.from_model(Gone().eval().requires_grad_(False), input_size=SIDE)
    sentence = verdict_of(network, photo_of(0), "saliency")
    assert (
        "**cannot be told**: with every weight shuffled its map has one value everywhere"
        in sentence
    )


def test_saliency_of_a_trained_network_is_told_from_that_of_shuffled_ones():
    """The bundled network has learned its classes, and its gradient passes through every weight."""
    card = list_networks()[0]
    network = load_network(card.name, "cpu")
    photo = open_image(list_samples()[0].path).resize((card.input_size, card.input_size))
    assert LEARNED in verdict_of(network, photo, "saliency")


def test_random_maps_beat_random_maps_no_more_often_than_by_chance():
    """A further draw of a control stands in for a map: 1 in 20 is what the sentence says, of 100
    no more than 11.
    """
    counts = {"pixels": 0, "patches": 0}
    generator = torch.Generator().manual_seed(0)
    for number in range(4):
        network = untrained(number)
        exam = Exam(Target(0), steps=12, squares=2, repeats=20, seed=number)
        pool = make_yardstick(network, network.preprocess(photo_of(number)), exam)
        for _ in range(25):
            order = torch.randperm(20, generator=generator).tolist()
            controls = {
                kind: tuple(pool.controls[kind][place] for place in order[:6]) for kind in counts
            }
            yardstick = Yardstick(pool.falls, controls | {"blob": pool.controls["blob"]})
            for kind in counts:
                (sentence,) = describe_scores({"Map": pool.controls[kind][order[6]]}, yardstick)
                counts[kind] += " beats every control map" in sentence
    assert max(counts.values()) <= 11
