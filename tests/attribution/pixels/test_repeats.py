"""How far a map agrees with that of another seed: right where the true answer is known, and of
that method alone.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.catalogue.pixels import METHODS
from se_viz.attribution.pixels.repeats import correlate, measure_repeat
from se_viz.attribution.pixels.run import attribute
from se_viz.networks import Network

pytestmark = pytest.mark.slow


class Sum(nn.Module):
    """Logits that are a function of each pixel alone, added up; a block stands beside them."""

    def __init__(self, waves: float = 0.0) -> None:
        super().__init__()
        self.se = SqueezeExcitation(3, 2)
        self.waves = waves
        self.weights = nn.Parameter(
            torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return two logits."""
        values = (self.waves * images).cos() if self.waves else images
        logit = (values * self.weights).sum((1, 2, 3)) + 0 * self.se(images).sum((1, 2, 3))
        return torch.stack([logit, -logit], 1)


@pytest.fixture
def picture() -> Tensor:
    """Return four colours, one a quarter: patches of like colour, and a little grain."""
    generator = torch.Generator().manual_seed(7)
    corners = (
        torch.randn(1, 3, 2, 2, generator=generator)
        .repeat_interleave(16, 2)
        .repeat_interleave(16, 3)
    )
    return corners + 0.05 * torch.randn(1, 3, 32, 32, generator=generator)


def test_methods_that_draw_are_known():
    """Those whose options have a seed and a number of draws; Feature Ablation has a seed and draws
    nothing.
    """
    keys = {key for key, row in METHODS.items() if row.drawn}
    assert keys == {
        *("gradient_shap", "smoothgrad", "smoothgrad_sq", "vargrad", "deep_lift_shap"),
        *("feature_permutation", "shapley", "lime", "kernel_shap"),
    }


def test_it_is_the_correlation_with_the_map_of_the_next_seed(shallow: Network, image: Tensor):
    """By NumPy, of two plain calls; the options of the map are kept, a seed among them."""
    attribution = attribute(shallow, image, 1, "gradient_shap", n_samples=6, seed=4)
    repeat = attribute(shallow, image, 1, "gradient_shap", n_samples=6, seed=5)
    expected = np.corrcoef(attribution.map.flatten(), repeat.map.flatten())[0, 1]
    assert measure_repeat(shallow, image, attribution) == pytest.approx(expected, abs=1e-6)
    assert abs(expected) < 0.999


@pytest.mark.parametrize("key", ["saliency", "feature_ablation"])
def test_what_draws_nothing_has_no_repeat(picture: Tensor, key: str):
    """A correlation of 1 would praise what is no merit."""
    network = Network.from_model(Sum(), input_size=32)
    assert measure_repeat(network, picture, attribute(network, picture, 1, key)) is None


@pytest.mark.parametrize("key", ["smoothgrad", "shapley", "kernel_shap"])
def test_a_linear_network_leaves_nothing_to_chance(picture: Tensor, key: str):
    """Its gradient is the same everywhere, and a patch adds the same to every set of others: the
    maps are one.
    """
    network = Network.from_model(Sum(), input_size=32)
    options: dict[str, Any] = (
        {}
        if key == "smoothgrad"
        else {"superpixels": 8, "n_samples": 100 if key == "kernel_shap" else 2}
    )
    repeat = measure_repeat(network, picture, attribute(network, picture, 0, key, **options))
    assert repeat == pytest.approx(1, abs=1e-4)


def test_a_map_of_chance_alone_is_found_out(picture: Tensor):
    """The slope of a fast wave has any sign within the noise: two averages of four copies share
    hardly anything.
    """
    network = Network.from_model(Sum(waves=300.0), input_size=32)
    repeat = measure_repeat(
        network, picture, attribute(network, picture, 0, "smoothgrad", nt_samples=4)
    )
    # Both are larger where the weight is: sizes of noise times the same weights.
    assert repeat is not None
    assert repeat < 0.5


def test_baselines_of_another_seed_are_other_pictures(shallow: Network, image: Tensor):
    """DeepLiftShap averages over them: with the same ones every seed would agree, and tell
    nothing.
    """
    maps = [attribute(shallow, image, 1, "deep_lift_shap", seed=seed).map for seed in (0, 0, 1)]
    assert torch.equal(maps[0], maps[1])
    assert not torch.allclose(maps[0], maps[2])


def test_a_constant_map_correlates_with_nothing():
    """It has no variance to share."""
    assert correlate(torch.zeros(4, 4), torch.rand(4, 4)) is None
    assert correlate(torch.eye(4), torch.eye(4)) == pytest.approx(1)
    assert correlate(torch.eye(4), -torch.eye(4)) == pytest.approx(-1)


def test_seeds_of_kernel_shap_agree(picture: Tensor):
    """Pairs at the catalogue's number of samples: at least half of what the map shows is no
    chance.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layers = [
            nn.Conv2d(3, 8, 3, 2),
            nn.ReLU(),
            SqueezeExcitation(8, 4),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        ]
        network = Network.from_model(nn.Sequential(*layers, nn.Linear(8, 2)), input_size=32)
    repeat = measure_repeat(network, picture, attribute(network, picture, 1, "kernel_shap"))
    assert repeat is not None
    assert repeat > 0.5
