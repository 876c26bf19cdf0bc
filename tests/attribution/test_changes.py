"""Whatever a caller changes in a network between two calls, each call explains the network as it
is then.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import captum.attr
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from se_viz.attribution.gates.neurons import attribute_neuron
from se_viz.attribution.gates.run import attribute_gates
from se_viz.attribution.layers.run import attribute_layers
from se_viz.attribution.paths.trace import NETWORK, trace_paths
from se_viz.attribution.pixels.run import attribute, attribute_unproven
from se_viz.attribution.question.places import Layer
from se_viz.attribution.question.targets import Target
from se_viz.attribution.scores.curves import Exam
from se_viz.attribution.scores.infidelity import measure_falls
from se_viz.attribution.scores.sanity import check_sanity
from se_viz.errors import AttributionError
from se_viz.gates.neurons import Neuron
from se_viz.networks import Network
from tests.support.passes import Passes

pytestmark = pytest.mark.slow

BLOCK = "layer3.0.bn3.1"


@pytest.fixture
def network(shallow: Network) -> Network:
    """Whether a change is seen does not depend on how many blocks there are."""
    return shallow


class Scaled(nn.Module):
    """Logits over a temperature, as a caller wraps a network."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.temperature = 1.0

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        return self.inner(images) / self.temperature


@pytest.fixture
def scaled(network: Network) -> Network:
    """Return a network with a plain attribute, whose weights are its own."""
    return Network(Scaled(copy.deepcopy(network.model)).eval(), network.card, network.device)


def head(model: nn.Module) -> Any:
    return model.get_submodule("inner.fc")


def write_data(model: nn.Module) -> None:
    head(model).weight.data.mul_(2)
    head(model).bias.data.mul_(2)


def write_through_numpy(model: nn.Module) -> None:
    for value in (head(model).weight, head(model).bias):
        view = value.detach().numpy()
        view *= 2


def set_data(model: nn.Module) -> None:
    for value in (head(model).weight, head(model).bias):
        value.data = 2 * value.data


def set_attribute(model: nn.Module) -> None:
    assert isinstance(model, Scaled)
    model.temperature = 0.5


def replace_forward(model: nn.Module) -> None:
    before = model.forward
    model.forward = lambda images: 2 * before(images)


def replace_forward_of_child(model: nn.Module) -> None:
    layer = head(model)
    layer.forward = lambda features: 2 * nn.functional.linear(features, layer.weight, layer.bias)


def replace_class(model: nn.Module) -> None:
    class Doubled(type(model)):
        def forward(self, images: Tensor) -> Tensor:
            return 2 * super().forward(images)

    model.__class__ = Doubled


def add_hook(model: nn.Module) -> None:
    head(model).register_forward_hook(lambda _, inputs, output: 2 * output)


def swap_module(model: nn.Module) -> None:
    layer = nn.Linear(*reversed(head(model).weight.shape)).requires_grad_(False)
    for name, value in layer.named_parameters():
        value.copy_(2 * head(model).get_parameter(name))
    model.set_submodule("inner.fc", layer)


def add_module(model: nn.Module) -> None:
    model.set_submodule("inner.fc", nn.Sequential(head(model), Times(2.0)))


class Times(nn.Module):
    """A factor that is a plain attribute."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, values: Tensor) -> Tensor:
        """Return values times the factor."""
        return self.factor * values


def parametrise(model: nn.Module) -> None:
    for name in ("weight", "bias"):
        parametrize.register_parametrization(head(model), name, Times(2.0))


CHANGES = (
    write_data,
    write_through_numpy,
    set_data,
    set_attribute,
    replace_forward,
    replace_forward_of_child,
    replace_class,
    add_hook,
    swap_module,
    add_module,
    parametrise,
)
"""Eleven ways to double every logit, of which PyTorch counts none or one."""

Ask: TypeAlias = Callable[[Network, Tensor], dict[str, Tensor]]

ONE_PASS = ("saliency", "input_x_gradient", "grad_cam")
FEW = ("integrated_gradients", "feature_ablation")
RULES = ("guided_backprop", "deep_lift")
_QUICK: dict[str, dict[str, Any]] = {
    "integrated_gradients": {"n_steps": 16},
    "feature_ablation": {"superpixels": 16},
}


def map_of(network: Network, image: Tensor, key: str) -> Tensor:
    return attribute_unproven(network, image, 1, key, **_QUICK.get(key, {})).map


def assert_doubled(
    network: Network, image: Tensor, change: Callable[[nn.Module], None], ask: Ask
) -> None:
    before = ask(network, image)
    change(network.model)
    for name, values in ask(network, image).items():
        assert values.any(), name
        size = before[name].abs().max().item()
        torch.testing.assert_close(
            values, 2 * before[name], rtol=0, atol=2e-3 * size, msg=lambda _, name=name: name
        )


def ask_pixels(network: Network, image: Tensor) -> dict[str, Tensor]:
    """Return maps of methods that run on the network itself, or on a copy with folded norms."""
    layers = [Layer("end", 4), Layer("end", 5)]
    maps = {key: map_of(network, image, key) for key in (*ONE_PASS, *FEW)}
    attributions = attribute_layers(network, image, Target(1), layers=layers)
    return {
        **maps,
        "layers": torch.cat([attribution.values.flatten() for attribution in attributions]),
    }


def ask_inside(network: Network, image: Tensor) -> dict[str, Tensor]:
    """Return what is said of gates, of ways through them, and of squares."""
    target = Target(1)
    block = network.inspection.sites[-1].name
    neuron = attribute_neuron(
        network, image, Neuron(block, 0), "conductance", target=target, n_steps=4
    )
    return {
        "gates": attribute_gates(
            network, image, target, "integrated_gradients", block=block
        ).values,
        "paths": trace_paths(network, image, target, n_steps=3).flows[NETWORK].map.float(),
        "neuron": neuron.map,
        "falls": torch.tensor(measure_falls(network, image, Exam(target, squares=20)).losses),
    }


@pytest.mark.parametrize("change", CHANGES)
def test_every_map_is_of_the_network_as_it_is(
    scaled: Network, image: Tensor, change: Callable[[nn.Module], None]
):
    """Twice the logits have twice the derivatives and falls: a kept answer or copy would give the
    old ones.
    """
    assert_doubled(scaled, image, change, ask_pixels)


@pytest.mark.parametrize("change", [write_data, replace_forward])
def test_what_is_said_of_gates_is_of_the_network_as_it_is(
    scaled: Network, image: Tensor, change: Callable[[nn.Module], None]
):
    """Edits and captures of a copy would reach nothing where its forward runs the network's own
    modules.
    """
    assert_doubled(scaled, image, change, ask_inside)


@pytest.mark.parametrize("change", [write_data, set_attribute, replace_forward, add_hook])
@pytest.mark.parametrize("key", RULES)
def test_methods_with_rules_explain_the_network_as_it_is_or_refuse(
    scaled: Network, image: Tensor, key: str, change: Callable[[nn.Module], None]
):
    """A forward that was replaced from outside goes on to run the model itself, where no rule of
    DeepLift's hangs: that is said.
    """
    before = map_of(scaled, image, key)
    change(scaled.model)
    if change is replace_forward and key == "deep_lift":
        with pytest.raises(
            AttributionError, match=r"still runs the .* of the network itself: a forward was repla"
        ):
            map_of(scaled, image, key)
        return
    after = map_of(scaled, image, key)
    torch.testing.assert_close(after, 2 * before, rtol=0, atol=1e-3 * before.abs().max().item())


def test_a_buffer_that_is_written_in_place_counts(network: Network, image: Tensor):
    """Running statistics are folded into weights on the way: the map is that of plain Captum
    afterwards.
    """
    attribute(network, image, 1, "integrated_gradients")
    norm = network.model.get_submodule("layer2.0.bn2")
    norm.get_buffer("running_var").numpy()[:] *= 3
    expected = (
        captum.attr.IntegratedGradients(network.model)
        .attribute(image, target=1, n_steps=32)[0]
        .sum(0)
    )
    heat = attribute(network, image, 1, "integrated_gradients").map
    torch.testing.assert_close(
        heat, expected.float(), rtol=0, atol=1e-3 * expected.abs().max().item()
    )


def test_the_same_question_again_runs_again(network: Network, image: Tensor):
    """Nothing is kept that could be out of date; the same network gives the same map, bit for
    bit.
    """
    first = attribute(network, image, 1, "saliency").map
    copy = first.clone()
    with Passes() as passes:
        again = attribute(network, image, 1, "saliency").map
    assert passes.sizes == [1]
    assert torch.equal(again, copy)
    first.zero_()
    assert torch.equal(attribute(network, image, 1, "saliency").map, copy)


@pytest.mark.parametrize(
    "key", ["integrated_gradients", "feature_ablation", "deep_lift", "guided_grad_cam"]
)
def test_methods_write_into_no_weight(network: Network, image: Tensor, key: str):
    """Copies read the model's own weights: not one may be written, moved or thawed, nor a hook be
    left.
    """
    model = network.model
    before = {
        name: (value, value.data_ptr(), value._version)
        for name, value in model.state_dict().items()
    }
    values = copy.deepcopy(model.state_dict())
    attribute_unproven(network, image, 0, key)
    after = model.state_dict()
    for name, (_, place, version) in before.items():
        assert (after[name].data_ptr(), after[name]._version) == (place, version)
        assert torch.equal(after[name], values[name])
    assert not any(value.requires_grad or value.grad is not None for value in model.parameters())
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    assert not any(getattr(module, kind) for module in model.modules() for kind in kinds)


def test_weights_that_learn_again_keep_their_state(network: Network, image: Tensor):
    """A caller goes on training between two maps: methods leave gradients wanted, and none
    behind.
    """
    network.model.requires_grad_(True)
    for key in ("deep_lift", "integrated_gradients"):
        attribute_unproven(network, image, 0, key)
    assert all(value.requires_grad and value.grad is None for value in network.model.parameters())


def test_a_sanity_check_sees_what_was_changed(network: Network, image: Tensor):
    """Its first step is a copy of the network as it is: a map of before would not be alike."""
    before = attribute(network, image, 1, "grad_cam")
    with torch.no_grad():
        order = torch.randperm(5, generator=torch.Generator().manual_seed(1))
        layer = network.model.get_submodule("fc")
        layer.get_parameter("weight").data = -layer.get_parameter("weight").data[order]
    after = attribute(network, image, 1, "grad_cam")
    assert not torch.equal(before.map, after.map)
    assert torch.equal(check_sanity(network, image, after)[0].map, after.map)


def test_a_sanity_check_of_a_copy_that_runs_the_network_is_refused(network: Network, image: Tensor):
    """Its weights would be shuffled and the network's own would answer: "hardly depends on what it
    has learned".
    """
    attribution = attribute(network, image, 1, "saliency")
    before = network.model.forward
    network.model.forward = lambda images: before(images)
    with pytest.raises(
        AttributionError,
        match=r"^The check runs on a copy .* still runs the .* Give the network a class",
    ):
        check_sanity(network, image, attribution)


def double(scale: float, _: nn.Module, __: Any, output: Tensor) -> Tensor:
    return scale * output


def test_hooks_of_a_caller_count(network: Network, image: Tensor):
    """Guided Backprop of a network whose block is doubled by a hook is that of a network with a
    module that does it.
    """
    handle = network.model.get_submodule("layer2").register_forward_hook(partial(double, 2.0))
    heat = map_of(network, image, "guided_backprop")
    handle.remove()
    layer = network.model.get_submodule("layer2")
    network.model.set_submodule("layer2", nn.Sequential(layer, Times(2.0)))
    assert torch.equal(heat, map_of(network, image, "guided_backprop"))
