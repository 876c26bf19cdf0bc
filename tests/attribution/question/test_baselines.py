"""Baselines are pictures that can be checked pixel by pixel."""

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from se_viz.attribution.question.baselines import BASELINES, make_baseline, scatter
from se_viz.errors import AttributionError


def pixels(network, inputs: Tensor) -> Tensor:
    """Undo the normalisation: colours from 0 to 1."""
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1) for values in (network.card.mean, network.card.std)
    )
    return inputs * std + mean


def test_the_mean_colour_is_zero_and_black_is_black(network, image):
    """0 after normalisation is the mean of the training data; black is 0 before it."""
    mean = make_baseline(network, image, "mean")
    assert not mean.any()
    torch.testing.assert_close(pixels(network, mean)[0, :, 3, 5], torch.tensor(network.card.mean))
    black = pixels(network, make_baseline(network, image, "black"))
    torch.testing.assert_close(black, torch.zeros_like(image), rtol=0, atol=1e-6)


def test_noise_is_a_random_colour_a_pixel_and_always_the_same(network, image):
    """Uniform between black and white, so that the mean is near 0.5 and nothing lies outside."""
    noise = pixels(network, make_baseline(network, image, "noise"))
    assert noise.min() > -1e-6
    assert noise.max() < 1 + 1e-6
    assert noise.mean().item() == pytest.approx(0.5, abs=0.01)
    assert torch.equal(
        make_baseline(network, image, "noise"), make_baseline(network, image + 1, "noise")
    )


def test_a_blur_is_a_gaussian_of_a_sixteenth_of_the_side(network, images):
    """Colour by colour, by SciPy; a picture of one colour stays as it is."""
    baseline = make_baseline(network, images, "blur")
    for image, blurred in zip(images, baseline, strict=True):
        expected = [gaussian_filter(colour.numpy(), 4.0, mode="nearest") for colour in image]
        torch.testing.assert_close(
            blurred, torch.stack([torch.as_tensor(colour) for colour in expected])
        )
    flat = torch.full((1, 3, 64, 64), 0.7)
    torch.testing.assert_close(make_baseline(network, flat, "blur"), flat)


@pytest.mark.parametrize("key", BASELINES)
def test_a_baseline_is_like_the_inputs_and_leaves_them_alone(network, images, key):
    """Shape, type and device are theirs; the inputs may need a gradient, which a baseline has
    not.
    """
    before = images.clone()
    baseline = make_baseline(network, images.requires_grad_(), key)
    assert (baseline.shape, baseline.dtype, baseline.requires_grad) == (
        images.shape,
        images.dtype,
        False,
    )
    assert torch.equal(images, before)
    assert BASELINES[key].title
    assert BASELINES[key].sentence.endswith(".")


def test_an_unknown_baseline_is_said(network, image):
    """Its name, and those there are."""
    with pytest.raises(
        AttributionError,
        match=r"^There is no baseline 'red'\. Choose one of: mean, black, blur, noise",
    ):
        make_baseline(network, image, "red")


def test_scattered_baselines_lie_around_the_one_they_were_made_of():
    """Normal noise of 0.2 on every value: mean and spread, and the same at every call."""
    start = torch.full((1, 3, 64, 64), 2.0)
    baselines = scatter(start, 8)
    assert baselines.shape == (8, 3, 64, 64)
    assert baselines.mean().item() == pytest.approx(2.0, abs=0.01)
    assert baselines.std().item() == pytest.approx(0.2, abs=0.01)
    assert torch.equal(baselines, scatter(start, 8))
