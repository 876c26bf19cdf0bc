import numpy as np
import pytest
import torch

from se_viz.gates.variance import LEVEL, estimate_image_share


def estimate_share_by_loops(gates: np.ndarray) -> float:
    """Estimate the share of the variance between images by the definition, channel by channel and
    image by image.
    """
    images, channels = gates.shape
    means = [float(gates[:, channel].mean()) for channel in range(channels)]
    within = float(np.mean([gates[:, channel].var(ddof=1) for channel in range(channels)]))
    # The channels' means scatter by what is left of the deviations that are not common to all
    # channels.
    scatter = 0.0
    for image in range(images):
        rest = gates[image] - np.array(means)
        scatter += float(rest.var()) / (images - 1)
    between = max(0.0, float(np.var(means)) - scatter / images)
    return float(within / (within + between))


def draw(images: int, channels: int, *, within: float, between: float, seed: int) -> np.ndarray:
    """Draw gates whose true share is within / (within + between), for these very channels."""
    random = np.random.default_rng(seed)
    levels = random.normal(size=channels)
    levels = (levels - levels.mean()) / levels.std() * np.sqrt(between)
    return levels + np.sqrt(within) * random.normal(size=(images, channels))


def test_the_share_is_that_of_the_definition():
    """Sums of squares in closed form must come to what loops over channels and images give."""
    gates = draw(7, 11, within=0.3, between=0.7, seed=0)
    share = estimate_image_share(torch.from_numpy(gates))
    assert share is not None
    assert share.value == pytest.approx(estimate_share_by_loops(gates))


def test_the_interval_is_that_of_leaving_images_out_one_by_one():
    """The textbook's jackknife, with each image really left out; Student's 95 % point for 6
    degrees is 1.943.
    """
    gates = draw(7, 11, within=0.3, between=0.7, seed=0)
    shares = np.array([estimate_share_by_loops(np.delete(gates, image, 0)) for image in range(7)])
    odds = np.log(shares / (1 - shares))
    error = np.sqrt(6 / 7 * ((odds - odds.mean()) ** 2).sum())
    value = estimate_share_by_loops(gates)
    middle = np.log(value / (1 - value))
    share = estimate_image_share(torch.from_numpy(gates))
    assert LEVEL == 0.9
    assert share is not None
    assert share.low == pytest.approx(1 / (1 + np.exp(-(middle - 1.94318 * error))), rel=1e-5)
    assert share.high == pytest.approx(1 / (1 + np.exp(-(middle + 1.94318 * error))), rel=1e-5)


@pytest.mark.parametrize("images", [2, 3, 6, 24])
def test_the_number_of_images_does_not_move_the_share(images: int):
    """Of 0.2 and 0.8 the share is 0.2 on average; the plain variance would give half of it at two
    images.
    """
    draws = [draw(images, 64, within=0.2, between=0.8, seed=seed) for seed in range(200)]
    shares = [
        share.value for gates in draws if (share := estimate_image_share(torch.from_numpy(gates)))
    ]
    # 200 draws of a share whose standard deviation is at most 0.03 at two images; a ratio is biased
    # in second order.
    assert np.mean(shares) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("images", "most"), [(3, 0.15), (6, 0.15), (12, 0.15), (24, 0.15)])
def test_the_interval_covers_the_truth(images: int, most: float):
    """Promised is 90 %; over 300 draws the standard error of a miss rate of 0.1 is 0.017."""
    misses = 0
    for seed in range(300):
        share = estimate_image_share(
            torch.from_numpy(draw(images, 32, within=0.15, between=0.85, seed=seed))
        )
        assert share is not None
        assert share.low is not None
        assert share.high is not None
        misses += not share.low <= 0.15 <= share.high
    assert misses / 300 <= most


@pytest.mark.parametrize("gates", [[[0.2, 0.4]], [[0.5, 0.5], [0.5, 0.5]]])
def test_one_image_or_no_variance_has_no_share(gates: list[list[float]]):
    """Nothing divided by nothing is no share."""
    assert estimate_image_share(torch.tensor(gates)) is None


def test_images_that_move_all_gates_alike_leave_the_channels_apart():
    """A common shift is variance between images, but adds nothing to the scatter of channels
    against each other.
    """
    gates = torch.tensor([[0.2, 0.4], [0.4, 0.6], [0.6, 0.8]])
    share = estimate_image_share(gates)
    assert share is not None
    # By hand: over images 0.04 in either channel; means 0.4 and 0.6, so 0.01 between them.
    assert share.value == pytest.approx(0.8)
