from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from se_viz import capture_gates
from se_viz.attribution.gates.erasure import REPEATS, Erasure, check_region, erase, mark_strongest
from se_viz.errors import AttributionError, CaptureError, TooLittleMemoryError
from se_viz.gates.neurons import Neuron
from se_viz.networks import Network

LAST = "layer4.0.bn3.1"


@pytest.fixture
def network(shallow: Network) -> Network:
    """Erasing is the same for every network, and takes more than forty passes."""
    return shallow


@pytest.fixture
def photo() -> Image.Image:
    pixels = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1))


@pytest.fixture
def region() -> torch.Tensor:
    region = torch.zeros(64, 64, dtype=torch.bool)
    region[10:30, 20:50] = True
    return region


def gate_of(network, picture: Image.Image | Tensor, channel: int) -> float:
    with torch.no_grad(), capture_gates(network.model) as records:
        network.model(network.take(picture))
    return next(record.gate[0, channel].item() for record in records if record.block == LAST)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_region_holds_the_highest_of_the_positive_values(share):
    """Sorted one by one: so many as the share of the positive values, rounded up, and none lower
    is marked.
    """
    values = torch.randn(20, 30, generator=torch.Generator().manual_seed(4))
    positive = sorted((value for value in values.flatten().tolist() if value > 0), reverse=True)
    count = int(np.ceil(share * len(positive)))
    marked = mark_strongest(values, share)
    assert sorted(values[marked].tolist(), reverse=True) == positive[:count]


def test_one_pixel_at_least_is_marked():
    """A slider at its lowest must not test nothing."""
    values = torch.tensor([[0.2, -3.0], [0.0, 0.1]])
    assert mark_strongest(values, 0.01).tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize("values", [torch.zeros(3, 3), -torch.ones(3, 3)])
def test_a_map_without_a_positive_value_marks_nothing(values):
    """A saturated hard sigmoid has no gradient: that is said, and what else to choose."""
    with pytest.raises(
        AttributionError,
        match=r"^No pixel of this map is positive.* Choose the value before the gate function, "
        r"another method",
    ):
        mark_strongest(values, 0.1)


def test_the_mean_colour_is_the_networks_zero(network, photo, region):
    """Outside the region nothing changes; inside, the network sees 0 up to the rounding of a
    byte.
    """
    picture = erase(network, photo, region, "mean")
    same = (np.asarray(picture) == np.asarray(photo)).all(-1)
    assert same[~region.numpy()].all()
    inside = network.preprocess(picture)[0][:, region]
    # Half a grey level, in units of the smallest standard deviation.
    assert inside.abs().max() <= 0.5 / 255 / 0.224 + 1e-6


def test_the_blur_is_pillows(network, photo, region):
    """The radius is a sixteenth of the side: 4 of 64 pixels."""
    picture = np.asarray(erase(network, photo, region, "blur"))
    blurred = np.asarray(photo.filter(ImageFilter.GaussianBlur(4)))
    inside = region.numpy()
    np.testing.assert_array_equal(picture[inside], blurred[inside])
    np.testing.assert_array_equal(picture[~inside], np.asarray(photo)[~inside])


@pytest.mark.parametrize("fill", ["blur", "mean"])
def test_the_gates_are_those_of_the_pictures(network, photo, region, fill):
    """The picture that is shown gives, captured by itself, the gate that is reported, bit for
    bit.
    """
    erasure = check_region(network, photo, region, Neuron(LAST, 10), fill=fill)
    assert erasure.before == gate_of(network, photo, 10)
    assert erasure.after == gate_of(network, erasure.picture, 10)
    assert erasure.share == pytest.approx(20 * 30 / 64**2)
    assert erasure.before != erasure.after


def test_controls_are_the_same_shape_moved(network, photo, region):
    """Each equals the gate with the region moved by whole eighths of 64 pixels; no place comes
    twice, nor its own.
    """
    erasure = check_region(network, photo, region, Neuron(LAST, 10), seed=3)
    steps = range(0, 64, 8)
    shifts = [(down, right) for down in steps for right in steps if down or right]
    areas = [torch.from_numpy(np.roll(region.numpy(), shift, (0, 1))) for shift in shifts]
    # Counted, as two places may give one gate.
    gates = Counter(gate_of(network, erase(network, photo, area, "blur"), 10) for area in areas)
    assert (gates.total(), len(erasure.controls), REPEATS) == (63, 40, 40)
    assert gates >= Counter(erasure.controls)


def test_controls_are_drawn_with_the_seed(network, photo, region):
    """The same numbers come again in the next lecture, and another seed gives others."""
    first, again, reseeded = (
        check_region(network, photo, region, Neuron(LAST, 10), seed=seed) for seed in (0, 0, 1)
    )
    assert first.controls == again.controls
    assert first.controls != reseeded.controls
    assert first.after == reseeded.after


def test_where_all_is_erased_the_place_cannot_matter(network, photo):
    """The whole photo, moved round, is the whole photo: every control equals the erased picture."""
    erasure = check_region(network, photo, torch.ones(64, 64, dtype=torch.bool), Neuron(LAST, 10))
    assert set(erasure.controls) == {erasure.after}
    assert (erasure.beaten, erasure.spread, erasure.share) == (0, 0.0, 1.0)


def test_the_comparison_is_mean_spread_and_rank():
    """By NumPy and by hand: 0.4 is lower than 0.5, 0.6 and 0.9, and not lower than 0.3."""
    controls = (0.5, 0.3, 0.6, 0.9)
    erasure = Erasure(Image.new("RGB", (1, 1)), 0.1, 0.8, 0.4, controls)
    assert erasure.mean == pytest.approx(np.mean(controls))
    assert erasure.spread == pytest.approx(np.std(controls, ddof=1))
    assert erasure.beaten == 3


def test_the_lowest_of_the_negative_values_are_marked_with_the_other_sign():
    """What lowers a gate is marked as what raises it is: the mirrored map marks the same pixels."""
    values = torch.randn(20, 30, generator=torch.Generator().manual_seed(4))
    assert torch.equal(mark_strongest(values, 0.1, sign=-1), mark_strongest(-values, 0.1))
    with pytest.raises(AttributionError, match=r"^No pixel of this map is negative"):
        mark_strongest(values.abs(), 0.1, sign=-1)


@pytest.mark.parametrize(
    ("sign", "after", "beaten", "holds"),
    [(1, 0.4, 40, True), (1, 0.6, 0, False), (-1, 0.6, 40, True), (-1, 0.4, 0, False)],
)
def test_a_gate_is_held_either_way(sign: int, after: float, beaten: int, holds: bool):
    """Down without the pixels that raise it, up without those that lower it: further than at 40
    places, or no further than at any.
    """
    controls = (0.5,) * REPEATS
    erasure = Erasure(Image.new("RGB", (1, 1)), 0.1, 0.5, after, controls, sign)
    assert (erasure.beaten, erasure.holds) == (beaten, holds)
    assert erasure.move == pytest.approx(0.1 if holds else -0.1)


@pytest.mark.parametrize(("logit", "least"), [(False, 0.02), (True, 0.1)])
def test_less_than_the_least_change_holds_nothing(
    network, photo, region, logit: bool, least: float
):
    """A gate that falls by a thousandth further than elsewhere was not held open."""
    found = check_region(network, photo, region, Neuron(LAST, 10, logit=logit), sign=-1)
    assert (found.sign, found.least) == (-1, least)
    small = replace(found, before=0.5 + 0.9 * least, after=0.5, controls=(0.5 + least,) * REPEATS)
    large = replace(small, before=0.5 + 1.1 * least)
    assert [replace(one, sign=1).holds for one in (small, large)] == [False, True]


def test_the_turn_is_given_away_between_two_pictures(network, photo, region):
    """One look for each pass: the photo, the erased one and the controls."""
    looks: list[int] = []
    check_region(network, photo, region, Neuron(LAST, 10), watch=looks.append)
    assert looks == [0] * (2 + REPEATS)


def test_a_gate_that_does_not_exist_is_named(network, photo, region):
    """The refusal comes from the reading of the gate, with what to choose."""
    with pytest.raises(CaptureError, match=r"has no channel 600\. Choose one from 0 to 127\.$"):
        check_region(network, photo, region, Neuron(LAST, 600))


def test_too_little_memory_is_said(network, photo, region):
    """No traceback reaches a page."""

    def run_out(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    full = network.model.layer1.register_forward_pre_hook(run_out)
    with (
        full,
        pytest.raises(
            TooLittleMemoryError, match=r"^cpu has too little memory left for .* a smaller network"
        ),
    ):
        check_region(network, photo, region, Neuron(LAST, 10))
