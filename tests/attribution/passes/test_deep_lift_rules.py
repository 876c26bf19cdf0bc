"""Differences from the baseline are passed back whole, as the theory of DeepLift asks, also
through products.
"""

from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.passes.deep_lift_rules import Differences
from se_viz.attribution.pixels.run import attribute
from se_viz.networks import Network
from tests.conftest import randomise
from tests.support.reused import Last, Twice, TwiceApart
from tests.support.written_out import Squares, teach_squares

pytestmark = pytest.mark.slow

BENDS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.3),
    "prelu": lambda x: F.prelu(x, torch.full((1,), 0.25, dtype=x.dtype)),
    "elu": F.elu,
    "silu": F.silu,
    "mish": F.mish,
    "gelu": F.gelu,
    "softplus": F.softplus,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 0.75),
    "sigmoid": lambda x: x.sigmoid(),
    "tanh": torch.tanh,
}


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Values in double precision, in which quotients of small differences are exact enough to
    compare.
    """
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slope(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
    """The derivatives of the sum of what a function returns, under the rules."""
    leaves = [values.clone().requires_grad_() for values in inputs]
    with Differences():
        return torch.autograd.grad(function(*leaves).sum(), leaves)


@pytest.mark.parametrize("name", BENDS)
def test_a_bend_passes_back_the_slope_of_the_chord(name):
    """The rescale rule (arXiv 1704.02685, section 3.5): difference of outputs over that of inputs,
    for both halves.
    """
    image = draw(4, 3)
    start = draw(4, 3, seed=1)
    slopes = slope(BENDS[name], torch.cat([image, start]))[0]
    chord = (BENDS[name](image) - BENDS[name](start)) / (image - start)
    torch.testing.assert_close(slopes, torch.cat([chord, chord]))


@pytest.mark.parametrize("name", BENDS)
def test_where_nothing_differs_a_bend_passes_back_its_slope(name):
    """The chord's limit; a quotient of two zeros would be no number."""
    batch = torch.cat([draw(6), draw(6)]).requires_grad_()
    expected = torch.autograd.grad(BENDS[name](batch).sum(), batch)[0]
    torch.testing.assert_close(slope(BENDS[name], batch.detach())[0], expected)


@pytest.mark.parametrize("function", [torch.mul, Tensor.mul, lambda x, s: x * s])
def test_a_factor_gets_its_shapley_value(function):
    """The mean, over both orders, of what the product changes when this factor comes after none or
    after the other.
    """
    features = draw(4, 3, 5, 5)
    gates = draw(4, 3, 1, 1, seed=1)
    by_features, by_gates = slope(function, features, gates)
    x, x0 = features.chunk(2)
    (s, s0) = gates.chunk(2)
    shares = (
        ((x * s0 - x0 * s0) + (x * s - x0 * s)) / 2,
        ((x0 * s - x0 * s0) + (x * s - x * s0)) / 2,
    )
    torch.testing.assert_close(by_features.chunk(2)[0] * (x - x0), shares[0])
    torch.testing.assert_close(by_gates.chunk(2)[0] * (s - s0), shares[1].sum((2, 3), keepdim=True))


class Gated(nn.Module):
    """An SE block between two layers; ``product`` says how gate and feature map are multiplied."""

    def __init__(self, product: nn.Module) -> None:
        super().__init__()
        self.start = nn.Conv2d(3, 8, 3, bias=False)
        self.se = SqueezeExcitation(8, 4)
        self.end = nn.Linear(8, 2)
        self.product = product
        self.relu = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Return two logits."""
        features = self.relu(self.start(images))
        return self.end(self.product(features, self.se._scale(features)).mean((2, 3)))


class Product(nn.Module):
    """The product as such."""

    def forward(self, features: Tensor, gates: Tensor) -> Tensor:
        """Return features times gates."""
        return features * gates


def build(model: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return model().double().eval().requires_grad_(False)


def lift(model: nn.Module, image: Tensor, start: Tensor) -> Tensor:
    with pytest.warns(UserWarning, match="hooks"):
        return (
            captum.attr.DeepLift(model)
            .attribute(image.clone().requires_grad_(), start, target=1)
            .detach()
        )


def test_a_product_is_what_captum_makes_of_the_same_product_written_as_squares(monkeypatch):
    """x s = ((x + s)^2 - (x - s)^2) / 4: with sums and a bend, for which there are rules, Captum
    gives the same map.
    """
    teach_squares(monkeypatch)
    image = draw(1, 3, 9, 9)
    start = draw(1, 3, 9, 9, seed=1)
    expected = lift(build(lambda: Gated(Squares())), image, start)
    with Differences():
        values = lift(build(lambda: Gated(Product())), image, start)
    torch.testing.assert_close(values, expected)
    # Without the rule it is another map.
    assert not torch.allclose(
        lift(build(lambda: Gated(Product())), image, start), expected, rtol=1e-2
    )


class Pool(nn.Module):
    """A max-pool that is a module of Captum's, or is called."""

    def __init__(self, kernel: int, *, module: bool) -> None:
        super().__init__()
        self.pool: Any = nn.MaxPool2d(kernel, 2) if module else lambda x: F.max_pool2d(x, kernel, 2)
        self.start = nn.Conv2d(3, 4, 3)
        self.end = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Return two logits."""
        return self.end(self.pool(self.start(images)).mean((2, 3)))


def test_a_max_pool_is_captums_where_its_windows_do_not_overlap():
    """There, and not right after a ReLU, Captum's own rule is right."""
    image = draw(1, 3, 10, 10)
    start = draw(1, 3, 10, 10, seed=1)
    expected = lift(build(lambda: Pool(2, module=True)), image, start)
    with Differences():
        values = lift(build(lambda: Pool(2, module=False)), image, start)
    torch.testing.assert_close(values, expected)


def test_overlapping_windows_share_a_cell():
    """By hand: windows (3 1) and (1 4) of the image, (0 2) and (2 2.5) of the baseline.

    3 > 2: the first cell, which rose by 3, gets the first window's 1, a third each. 4 > 2.5: the
    last cell rose by 1.5, as much as its window. The middle one is the largest of no window that
    counts.
    """
    image = torch.tensor([[[[3.0, 1.0, 4.0]]]])
    start = torch.tensor([[[[0.0, 2.0, 2.5]]]])
    slopes = slope(lambda x: F.max_pool2d(x, (1, 2), 1), torch.cat([image, start]))[0]
    torch.testing.assert_close(slopes[0], torch.tensor([[[1 / 3, 0.0, 1.0]]]))


def test_a_window_that_falls_gives_all_to_the_baselines_largest():
    """By hand: from (5 1) to (2 3) the maximum falls by 2, and the first cell by 3: two thirds of
    that.
    """
    image = torch.tensor([[[[2.0, 3.0]]]])
    start = torch.tensor([[[[5.0, 1.0]]]])
    slopes = slope(lambda x: F.max_pool2d(x, (1, 2)), torch.cat([image, start]))[0]
    torch.testing.assert_close(slopes[0], torch.tensor([[[2 / 3, 0.0]]]))


@pytest.mark.parametrize("bend", [nn.Identity(), nn.ReLU()])
@pytest.mark.parametrize("kernel", [2, 3])
def test_a_max_pools_shares_add_up(kernel, bend):
    """Also after a ReLU and where windows overlap, where Captum's rule fails."""
    image = bend(draw(2, 4, 9, 9))
    start = bend(draw(2, 4, 9, 9, seed=1))

    def pool(x: Tensor) -> Tensor:
        return F.max_pool2d(x, kernel, 2, padding=1)

    slopes = slope(pool, torch.cat([image, start]))[0].chunk(2)[0]
    torch.testing.assert_close(
        (slopes * (image - start)).sum((2, 3)), (pool(image) - pool(start)).sum((2, 3))
    )


@pytest.mark.parametrize(
    "function", [*BENDS.values(), lambda x: x * x.sigmoid(), lambda x: F.max_pool2d(x, 2)]
)
def test_values_stay_as_they_are(function):
    """To the bit: what is explained is the network."""
    batch = draw(4, 2, 4, 4).float()
    with Differences():
        values = function(batch.requires_grad_())
    assert torch.equal(values, function(batch.detach()))


def test_a_functions_input_may_be_named():
    """A call says the same with its arguments in their places and by their names."""
    features = draw(4, 3)
    gates = draw(4, 3, seed=1)
    slopes = slope(lambda x, s: torch.mul(input=torch.sigmoid(input=x), other=s), features, gates)
    torch.testing.assert_close(
        slopes, slope(lambda x, s: torch.mul(torch.sigmoid(x), s), features, gates)
    )


@pytest.mark.parametrize("shape", [(), (3, 2)])
def test_what_has_no_halves_keeps_its_slope(shape: tuple[int, ...]):
    """A number, or a map that begins with an odd axis, holds no images and baselines."""
    values = draw(*shape)
    expected = torch.func.grad(lambda x: (x * x.sigmoid()).sum())(values)
    torch.testing.assert_close(slope(lambda x: x * x.sigmoid(), values)[0], expected)


def test_a_pass_without_gradients_may_hold_one_image():
    """The answer to image and baseline is asked in passes of one each."""
    features = draw(1, 2, 4, 4)
    with Differences(), torch.no_grad():
        assert torch.equal(
            features.requires_grad_() * torch.relu(features), features * torch.relu(features)
        )


WRITES: dict[str, tuple[Callable[[Tensor], Any], Callable[[Tensor], Tensor]]] = {
    "relu": (lambda x: F.relu(x, inplace=True), torch.relu),
    "by position": (lambda x: F.silu(x, True), F.silu),
    "hardtanh": (lambda x: F.hardtanh(x, -0.5, 0.75, True), lambda x: F.hardtanh(x, -0.5, 0.75)),
    "relu_": (torch.relu_, torch.relu),
    "sigmoid_": (lambda x: x.sigmoid_(), torch.sigmoid),
    "tanh_": (lambda x: x.tanh_(), torch.tanh),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_bend_may_write_over_its_input(name):
    """Whoever reads the input afterwards reads what was written, with the chord's slope; values to
    the bit.
    """
    write, function = WRITES[name]

    def read(x: Tensor) -> Tensor:
        x = x + 0
        write(x)
        return x

    batch = draw(6)
    torch.testing.assert_close(slope(read, batch)[0], slope(function, batch)[0])
    with Differences():
        assert torch.equal(read(batch.requires_grad_()), function(batch.detach()))


@pytest.mark.parametrize("write", [lambda x, s: x.mul_(s), lambda x, s: x.__imul__(s)])
def test_a_product_may_write_over_its_factor(write):
    """`x *= s`, as many blocks are written: the same shares as of a product that does not."""

    def read(x: Tensor, s: Tensor) -> Tensor:
        x = x + 0
        write(x, s)
        return x

    features = draw(4, 3, 5, 5)
    gates = draw(4, 3, 1, 1, seed=1)
    slopes = slope(read, features, gates)
    expected = slope(torch.mul, features, gates)
    torch.testing.assert_close(slopes, expected)
    with Differences():
        assert torch.equal(
            read(features.requires_grad_(), gates.requires_grad_()), (features * gates).detach()
        )


def test_the_rules_end_with_the_block():
    """Nothing is left for the next pass."""
    batch = draw(4).requires_grad_()
    slope(torch.relu, batch.detach())
    assert torch.equal(torch.autograd.grad(torch.relu(batch).sum(), batch)[0], (batch > 0).double())


NETWORKS = {
    "SE-ResNet of timm, ReLU and max-pool": lambda: timm.create_model("seresnet18", num_classes=5),
    "ReXNet, swish": lambda: timm.create_model("rexnet_100", num_classes=5),
    "MobileNetV3, hard functions": lambda: torchvision.models.mobilenet_v3_small(num_classes=5),
    "ECA, no bend in the block": lambda: timm.create_model("ecaresnet26t", num_classes=5),
    "ESE, hard sigmoid": lambda: timm.create_model("ese_vovnet19b_dw", num_classes=5),
    "a block used twice": Twice,
    "a block used at two places": TwiceApart,
    "channels last": Last,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_shares_add_up_on_networks_of_every_spelling(name):
    """Completeness (arXiv 1704.02685, section 3.1): the map sums to what the logit changes from
    the baseline.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = NETWORKS[name]()
        if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
            randomise(model)
    network = Network.from_model(model.double(), input_size=64)
    image = draw(1, 3, 64, 64)
    attribution = attribute(network, image, 1, "deep_lift")
    with torch.no_grad():
        rise = (network.model(image) - network.model(torch.zeros_like(image)))[0, 1].item()
    # The map has float32, and values of both signs.
    near = 1e-6 * attribution.map.abs().sum().item()
    assert abs(rise) > 100 * near
    assert attribution.map.double().sum().item() == pytest.approx(rise, abs=near)
