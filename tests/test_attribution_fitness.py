"""What is said of a method on a network is measured, and independent counts agree."""

import captum.attr
import pytest
import torch
import torchvision
from torch import nn

from se_viz.attribution.baselines import make_baseline
from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.fitness import REFUSED, judge_method
from se_viz.attribution.run import attribute
from se_viz.errors import AttributionError
from se_viz.networks import Network

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


@pytest.mark.parametrize("key", [key for key, row in METHODS.items() if not row.copied])
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
    """The reason that is given, tried out: Captum's LRP fails at the sigmoid, and leaves attributes behind."""
    image, before = images[:1], [set(vars(module)) for module in network.model.modules()]
    with pytest.raises(TypeError, match="Sigmoid"):
        captum.attr.LRP(network.model).attribute(image.clone().requires_grad_(), target=0)
    after = [set(vars(module)) for module in network.model.modules()]
    assert after != before


@pytest.mark.parametrize("key", GUIDED)
def test_without_relu_modules_guided_methods_do_not_run(silu, key):
    """49 functions, all SiLU: torchvision's table of EfficientNet-B0 has as many activations."""
    verdict = judge_method(silu, key)
    assert not verdict.runs
    assert "runs none (49 of silu instead): its map would be the plain gradient. Choose Saliency" in verdict.words
    assert sum(isinstance(module, nn.SiLU) for module in silu.model.modules()) == 49


@pytest.mark.parametrize("key", ["guided_backprop", "deconvolution"])
def test_without_relu_modules_the_map_is_the_plain_gradient(silu, images, key):
    """The reason that is given, tried out to the bit."""
    image = images[:1].clone().requires_grad_()
    slope = torch.autograd.grad(silu.model(image)[0, 1], image)[0]
    assert torch.equal(attribute(silu, images[:1], 1, key).map, slope[0].sum(0))


@pytest.mark.parametrize("key", GUIDED)
def test_where_few_functions_are_relus_it_is_said(mobile, key):
    """Counted among the modules, each of which a pass of MobileNetV3 uses once."""
    count = {kind: sum(type(module) is kind for module in mobile.model.modules()) for kind in FUNCTIONS}
    verdict = judge_method(mobile, key)
    assert verdict.runs
    assert (
        f"Only {count[nn.ReLU]} of its {sum(count.values())} functions with a bend are ReLU modules "
        f"({count[nn.Hardswish]} of hardswish, {count[nn.Hardsigmoid]} of hardsigmoid instead)" in verdict.words
    )


FUNCTIONS = (nn.ReLU, nn.Hardswish, nn.Hardsigmoid)


@pytest.mark.parametrize("key", [*GUIDED, *SHARES])
def test_a_relu_that_is_used_again_is_said(network, key):
    """16 units use one ReLU three times each, the stem and each SE block one once: 33 modules, 65 uses."""
    verdict = judge_method(network, key)
    assert verdict.runs
    assert verdict.words.startswith("A pass uses 33 ReLU modules 65 times. The method needs one for each use and runs")


@pytest.mark.parametrize("key", SHARES)
def test_what_the_shares_miss_is_measured(network, key):
    """The sum of the map on the named picture, against two plain passes."""
    noise = make_baseline(network, torch.zeros(1, 3, 64, 64), "noise")
    found = attribute(network, noise, 0, key)
    assert found.explained is not None
    missed = abs(found.map.sum().item() - found.explained)
    words = f"its shares miss {missed:.2g} of the {abs(found.explained):.2g} logits that they should add up to"
    assert words in judge_method(network, key).words


class Constant(nn.Module):
    """A gate that does not depend on the image."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Return 0.7 everywhere."""
        return torch.full_like(logits, 0.7)


def test_it_is_the_product_that_deep_lift_misses(network, images):
    """With gates that are numbers, the same network's shares add up: rules for all that is left are known."""

    def missed() -> float:
        found = attribute(network, images[:1], 1, "deep_lift")
        assert found.completeness_error is not None
        assert found.explained is not None
        return found.completeness_error / abs(found.explained)

    with_products = missed()
    for site in network.inspection.sites:
        network.model.get_submodule(site.block).scale_activation = Constant()
    # float32 through 50 layers.
    assert missed() < 1e-4 < 3e-3 < with_products


def test_an_unknown_method_is_said(network):
    """Its name, and those there are."""
    with pytest.raises(AttributionError, match=r"^There is no method 'lrpp'\. Choose one of: integrated_gradients, "):
        judge_method(network, "lrpp")


@pytest.mark.parametrize("key", ["guided_backprop", "deep_lift"])
def test_a_judgement_leaves_the_network_as_it_was(network, images, key):
    """No hook, no mode, no other answer."""
    with torch.no_grad():
        before = network.model(images)
        judge_method(network, key)
        assert torch.equal(network.model(images), before)
    assert not any(module._forward_hooks or module._backward_hooks for module in network.model.modules())
