"""What is said of a method on a network is measured, and independent counts agree."""

import captum.attr
import pytest
import torch
import torchvision
from torch import nn

from se_viz.attribution.catalogue.pixels import METHODS, REFUSED
from se_viz.attribution.passes.copies import copy_unrolled
from se_viz.attribution.pixels import run
from se_viz.attribution.pixels.fitness import judge_method
from se_viz.attribution.pixels.run import attribute, attribute_unproven
from se_viz.attribution.question.baselines import make_baseline
from se_viz.errors import AttributionError
from se_viz.networks import Network

pytestmark = pytest.mark.slow

GUIDED = ["guided_backprop", "deconvolution", "guided_grad_cam"]
SHARES = ["deep_lift", "deep_lift_shap"]


def wrap(model: nn.Module) -> Network:
    """A network of torchvision with random weights."""
    return Network.from_model(model, input_size=64)


@pytest.fixture
def silu() -> Network:
    """EfficientNet: SiLU everywhere, also inside its SE blocks."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return wrap(torchvision.models.efficientnet_b0(num_classes=5))


@pytest.fixture
def mobile() -> Network:
    """MobileNetV3: hard functions, and ReLU in the first units and inside the SE blocks."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return wrap(torchvision.models.mobilenet_v3_small(num_classes=5))


class Powers(nn.Module):
    """A network that ends in a function that nobody has a rule for."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv2d(3, 8, 1)
        self.se = torchvision.ops.SqueezeExcitation(8, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return one logit a channel."""
        return (self.se(self.start(images)) ** 4).mean((2, 3))


@pytest.fixture
def powers() -> Network:
    """The slope of a power at the image is not that of the chord."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return wrap(Powers())


@pytest.mark.parametrize("key", [key for key, row in METHODS.items() if row.kind != "rule"])
def test_methods_without_rules_run_everywhere(silu, key):
    """They need nothing but the network's answer and its gradient."""
    assert judge_method(silu, key).runs


@pytest.mark.parametrize("key", REFUSED)
def test_what_never_runs_says_why(network, key):
    """A refusal is a sentence with a way out."""
    verdict = judge_method(network, key)
    assert not verdict.runs
    assert "Choose Integrated Gradients" in verdict.words


def test_lrp_has_no_rule_for_a_gate_and_stays_on_the_model(network, images):
    """The reason that is given, tried out: Captum's LRP fails at the sigmoid, and leaves
    attributes behind.
    """
    image = images[:1]
    before = [set(vars(module)) for module in network.model.modules()]
    with pytest.raises(TypeError, match="Sigmoid"):
        captum.attr.LRP(network.model).attribute(image.clone().requires_grad_(), target=0)
    after = [set(vars(module)) for module in network.model.modules()]
    assert after != before


@pytest.mark.parametrize("key", GUIDED)
def test_without_relu_modules_guided_methods_do_not_run(silu, key):
    """49 functions, all SiLU: torchvision's table of EfficientNet-B0 has as many activations."""
    verdict = judge_method(silu, key)
    assert not verdict.runs
    assert (
        "runs none (49 of silu instead): its map would be the plain gradient. Choose Saliency"
        in verdict.words
    )
    assert sum(isinstance(module, nn.SiLU) for module in silu.model.modules()) == 49


@pytest.mark.parametrize("algorithm", ["GuidedBackprop", "Deconvolution"])
def test_without_relu_modules_the_map_would_be_the_plain_gradient(silu, images, algorithm):
    """The reason that is given, tried out on Captum to the bit."""
    image = images[:1].clone().requires_grad_()
    slope = torch.autograd.grad(silu.model(image)[0, 1], image)[0]
    with pytest.warns(UserWarning, match="hooks"):
        attribution = getattr(captum.attr, algorithm)(silu.model).attribute(image, target=1)
    assert torch.equal(attribution, slope)


class Bends(nn.Module):
    """One SE block, and no module that a rule could be set for: each function is called as such."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv2d(3, 8, 3, padding=1)
        self.end = nn.Linear(8, 5)
        self.se = torchvision.ops.SqueezeExcitation(8, 4, nn.SiLU, nn.Hardsigmoid)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.end(self.se(torch.relu(self.start(images))).mean((2, 3)))


@pytest.fixture
def bends() -> Network:
    """A network in which Captum finds nothing to set a rule for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return wrap(Bends())


def test_where_captum_has_no_rule_it_gives_the_gradient_times_the_difference(bends, images):
    """Why functions that are called have rules here: one relu, a SiLU and a Hardsigmoid, and
    Captum alone sees none.
    """
    image = images[:1].clone().requires_grad_()
    start = torch.zeros_like(images[:1])
    with pytest.warns(UserWarning, match="hooks"):
        values = captum.attr.DeepLift(bends.model).attribute(image, start, target=1)
    slope = torch.autograd.grad(bends.model(image)[0, 1], image)[0]
    torch.testing.assert_close(values, slope * (image - start))
    attribution = attribute(bends, images[:1], 1, "deep_lift")
    assert attribution.explained is not None
    # float32; Captum's misses a thousand times as much.
    assert attribution.completeness_error == pytest.approx(0, abs=1e-7)
    assert abs(values.sum().item() - attribution.explained) > 1e-4


@pytest.mark.parametrize(
    ("fixture", "keys"), [("silu", GUIDED), ("bends", GUIDED), ("network", list(REFUSED))]
)
def test_what_is_judged_not_to_run_is_refused_in_the_same_words(request, images, fixture, keys):
    """Whoever does not ask for a judgement first gets no picture of another method either."""
    network = request.getfixturevalue(fixture)
    for key in keys:
        verdict = judge_method(network, key)
        with pytest.raises(AttributionError) as refusal:
            attribute(network, images[:1], 1, key)
        assert str(refusal.value) == verdict.words
        assert not verdict.runs


@pytest.mark.parametrize("key", GUIDED)
def test_where_few_functions_are_relus_it_is_said(mobile, key):
    """Counted among the modules, each of which a pass of MobileNetV3 uses once."""
    count = {
        kind: sum(type(module) is kind for module in mobile.model.modules()) for kind in FUNCTIONS
    }
    verdict = judge_method(mobile, key)
    assert verdict.runs
    assert (
        f"Only {count[nn.ReLU]} of {sum(count.values())} nonlinearities are `nn.ReLU` modules "
        f"({count[nn.Hardswish]} of hardswish, {count[nn.Hardsigmoid]} of hardsigmoid instead)"
        in verdict.words
    )


FUNCTIONS = (nn.ReLU, nn.Hardswish, nn.Hardsigmoid)


@pytest.mark.parametrize("key", SHARES)
def test_a_relu_that_is_used_again_is_said(network, key):
    """16 units use one ReLU three times each, the stem and each SE block one once: 33 modules, 65
    uses.
    """
    verdict = judge_method(network, key)
    assert verdict.runs
    assert (
        "A pass uses 33 ReLU modules 65 times: the method needs a module for each use, and runs"
        in verdict.words
    )


@pytest.mark.parametrize("key", SHARES)
def test_what_the_shares_miss_is_measured(network, powers, key):
    """The sum of the map on the named picture, against two plain passes."""
    for subject, words in (
        (powers, "the shares miss {error:.2g} of {rise:.2g} logits: "),
        (network, "the shares sum to all {rise:.2g} logits."),
    ):
        noise = make_baseline(subject, torch.zeros(1, 3, 64, 64), "noise")
        attribution = attribute_unproven(subject, noise, 0, key)
        assert attribution.explained is not None
        error = abs(attribution.map.sum().item() - attribution.explained)
        assert (
            words.format(error=error, rise=abs(attribution.explained))
            in judge_method(subject, key).words
        )


class Constant(nn.Module):
    """A gate that does not depend on the image."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Return 0.7 everywhere."""
        return torch.full_like(logits, 0.7)


def test_it_is_the_product_that_captums_deep_lift_misses(network, images):
    """With gates that are numbers its shares add up: rules for all that is left are known.

    Here they do in any case.
    """
    image = images[:1]

    def misses() -> tuple[float, float]:
        twin = copy_unrolled(network.model, image)
        attribution = attribute(network, image, 1, "deep_lift")
        with pytest.warns(UserWarning, match="hooks"):
            direct = captum.attr.DeepLift(twin).attribute(image.clone().requires_grad_(), target=1)
        assert attribution.explained is not None
        assert attribution.completeness_error is not None
        size = abs(attribution.explained)
        captums = abs(direct.sum().item() - attribution.explained)
        return captums / size, attribution.completeness_error / size

    captums, ours = misses()
    # float32 through 50 layers.
    assert ours < 1e-4 < 3e-3 < captums
    for site in network.inspection.sites:
        network.model.get_submodule(site.block).scale_activation = Constant()
    assert max(misses()) < 1e-4


def test_an_unknown_method_is_said(network):
    """Its name, and those there are."""
    with pytest.raises(
        AttributionError,
        match=r"^There is no method 'lrpp'\. Choose one of: integrated_gradients, ",
    ):
        judge_method(network, "lrpp")


@pytest.mark.parametrize("key", SHARES)
def test_shares_that_miss_most_of_their_sum_are_no_map(powers, images, key, monkeypatch):
    """A wrong picture helps nobody: beyond the limit stands a sentence with both numbers, up to it
    the map.
    """
    attribution = attribute_unproven(powers, images[:1], 1, key)
    assert attribution.completeness_error
    assert attribution.explained
    share = attribution.completeness_error / abs(attribution.explained)
    assert share > run.MOST_MISSED
    numbers = (
        rf"miss {attribution.completeness_error:.2g} of the {abs(attribution.explained):.2g} logits"
    )
    with pytest.raises(
        AttributionError, match=numbers.replace("+", r"\+") + ".* Choose Integrated Gradients"
    ):
        attribute(powers, images[:1], 1, key)
    monkeypatch.setattr(run, "MOST_MISSED", 1.01 * share)
    assert torch.equal(attribute(powers, images[:1], 1, key).map, attribution.map)


@pytest.mark.parametrize("key", SHARES)
def test_functions_without_a_rule_are_said(network, powers, key):
    """Where the shares of a picture of noise miss more than one in a hundred."""
    words = "this network runs functions that differences cannot be passed back through"
    assert words in judge_method(powers, key).words
    assert words not in judge_method(network, key).words


@pytest.mark.parametrize("key", ["guided_backprop", "deep_lift"])
def test_a_judgement_leaves_the_network_as_it_was(network, images, key):
    """No hook, no mode, no other answer."""
    with torch.no_grad():
        before = network.model(images)
        judge_method(network, key)
        assert torch.equal(network.model(images), before)
    assert not any(
        module._forward_hooks or module._backward_hooks for module in network.model.modules()
    )


class Stem(nn.Module):
    """A convolution and a max-pool, with a ReLU between them as in a ResNet or without."""

    def __init__(self, side: int, bend: nn.Module) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3)
        self.bend = bend
        self.pool = nn.MaxPool2d(side, 2)
        self.end = nn.Linear(8, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.end(self.pool(self.bend(self.convolution(images))).mean((2, 3)))


@pytest.mark.parametrize(
    ("side", "bend", "colourful", "complete"),
    [
        (2, nn.Identity(), True, True),
        (3, nn.Identity(), True, False),
        (2, nn.ReLU(), True, False),
        (3, nn.ReLU(), True, False),
        (3, nn.ReLU(), False, True),
    ],
)
def test_captums_rule_for_a_max_pool_fails_after_a_relu_and_where_windows_overlap(
    images, side: int, bend: nn.Module, colourful: bool, complete: bool
):
    """Why Captum does not get to see it: elsewhere, and with a baseline of one colour, the shares
    add up.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Stem(side, bend).eval()
    image = images[:1].requires_grad_()
    start = images[1:] if colourful else torch.zeros_like(images[1:])
    with pytest.warns(UserWarning, match="hooks"):
        _, error = captum.attr.DeepLift(model).attribute(
            image, start, target=1, return_convergence_delta=True
        )
    # float32; what fails misses a thousand times as much.
    assert (error.abs().item() < 1e-6) == complete
