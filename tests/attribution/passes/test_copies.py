"""The copy that rules run on answers as the model does, and nothing done to it reaches the
model.
"""

import copy
import threading

import captum.attr
import pytest
import torch
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR
from torch import Tensor, nn

from se_viz.attribution.catalogue.pixels import METHODS
from se_viz.attribution.passes.copies import Unrolled, copy_unrolled, ruled_kinds
from se_viz.attribution.pixels.run import attribute_unproven
from se_viz.errors import AttributionError
from se_viz.gates import edit_gates
from se_viz.gates.surgery import compile_edits, set_gates
from se_viz.networks import Network

pytestmark = pytest.mark.slow

COPIED = [key for key, row in METHODS.items() if row.copied]
RULED = [key for key, row in METHODS.items() if row.kind == "rule"]


class Twice(nn.Module):
    """A ReLU that hangs in two places, is used three times, and writes over its input."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.relu = nn.ReLU(inplace=True)
        self.tail = nn.Sequential(self.second, self.relu)

    def forward(self, images: Tensor) -> Tensor:
        """Return what it was given, changed."""
        return self.tail(self.relu(self.first(images))) + self.relu(images - 1)


def uses(model: nn.Module) -> list[int]:
    return [len(module.uses) for module in model.modules() if isinstance(module, Unrolled)]


def test_each_use_has_a_module_of_its_own():
    """Three uses of one object are three modules, also where it hangs in two places; none writes
    over its input.
    """
    inputs = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    model = Twice()
    twin = copy_unrolled(model, inputs)
    assert uses(twin) == [3]
    assert not any(module.inplace for module in twin.modules() if isinstance(module, nn.ReLU))
    assert model.relu.inplace
    calls: list[nn.Module] = []
    for module in twin.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, *_: calls.append(module))
    for _ in range(2):
        assert torch.equal(twin(inputs.requires_grad_()), model(inputs))
    assert len(calls) == 6
    assert len(set(calls)) == 3
    assert calls[:3] == calls[3:]


class Beside(nn.Module):
    """A ReLU whose input a shortcut reads too, and one behind the weights alone, as a bias of
    positions has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.aside = nn.ReLU()
        self.bias = nn.Parameter(torch.tensor(-1.0))

    def forward(self, images: Tensor) -> Tensor:
        """Return one number an image."""
        images = -images
        return (3 * images - 2 * self.relu(images) + self.aside(self.bias)).sum((1, 2, 3))[:, None]


@pytest.mark.parametrize("algorithm", [captum.attr.GuidedBackprop, captum.attr.Deconvolution])
@pytest.mark.filterwarnings("ignore:Setting backward hooks")
def test_what_comes_back_beside_a_relu_is_kept(algorithm):
    """Only the ReLU's own way is replaced: -2 is shut off by both rules, and the shortcut's -3
    remains.

    Captum's hook hangs on the tensor that the module is given, and would replace what all its
    readers pass back.
    """
    inputs = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    attribution = algorithm(copy_unrolled(Beside(), inputs)).attribute(inputs, target=0)
    assert torch.equal(attribution, torch.full_like(inputs, -3.0))


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
def test_shares_beside_a_relu_add_up():
    """Chords are passed back along both ways: f(x) = -3x - 2 relu(-x), so that image and zeros
    differ by just that.
    """
    inputs = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    twin = copy_unrolled(Beside(), inputs)
    attribution = captum.attr.DeepLift(twin).attribute(inputs.requires_grad_(), target=0)
    torch.testing.assert_close(attribution, -3 * inputs - 2 * (-inputs).relu())


def test_a_copy_has_captums_rules_where_they_are_the_chords():
    """Its rules for max-pools and Softmax give shares that do not add up: it is not to find such
    modules.
    """
    inputs = torch.randn(2, 3, 4, 4)
    model = nn.Sequential(nn.MaxPool2d(2), nn.Softmax(1), nn.Tanh())
    twin = copy_unrolled(model, inputs)
    kinds = {type(module) for module in twin.modules()} & set(SUPPORTED_NON_LINEAR)
    assert kinds == {nn.Tanh}


def test_the_copy_of_a_network_answers_bit_for_bit(network, images):
    """16 units use one ReLU three times each, the stem and each gate one: 65 uses of 33 modules."""
    twin = copy_unrolled(network.model, images[:1])
    with torch.no_grad():
        assert torch.equal(twin(images), network.model(images))
    relus = [module for module in twin.modules() if isinstance(module, nn.ReLU)]
    assert len(relus) == 16 * 3 + 16 + 1
    unrolled = [module for module in twin.modules() if isinstance(module, Unrolled)]
    assert all(type(use) in ruled_kinds() for module in unrolled for use in module.uses)


def test_the_copy_reads_the_models_weights_and_nothing_else_of_it(network, images):
    """Weights are lent and frozen, so that a copy takes milliseconds; modules and buffers are its
    own.
    """
    twin = copy_unrolled(network.model, images[:1])
    own = dict(network.model.named_parameters())
    assert all(value.data_ptr() == own[name].data_ptr() for name, value in twin.named_parameters())
    assert not {*twin.modules()} & {*network.model.modules()}
    assert not {value.data_ptr() for value in twin.buffers()} & {
        value.data_ptr() for value in network.model.buffers()
    }
    twin.requires_grad_(True)
    assert not any(value.requires_grad for value in own.values())


class Locked(nn.Module):
    """A network that holds what there is one of."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.lock = threading.Lock()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        with self.lock:
            return self.model(images)


def test_a_network_that_cannot_be_copied_is_said_so(network, images):
    """No option is to blame, and other methods need no copy."""
    locked = Network(Locked(network.model), network.card, network.device)
    message = (
        r"^This method runs on a private copy .* Locked holds something .*lock.* Choose a method "
        r"that runs on"
    )
    with pytest.raises(AttributionError, match=message):
        attribute_unproven(locked, images[:1], 0, "deep_lift")
    assert attribute_unproven(locked, images[:1], 0, "integrated_gradients").map.any()


@pytest.mark.parametrize("key", ["deep_lift", "guided_backprop"])
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_weights_that_a_hook_computes_are_copied_too(network, images, key):
    """The older weight norm leaves a tensor with a graph beside its weights, which `copy.deepcopy`
    alone refuses.
    """
    expected = attribute_unproven(network, images[:1], 0, key).map
    normed = Network(copy.deepcopy(network.model), network.card, network.device)
    nn.utils.weight_norm(normed.model.get_submodule("fc"))
    normed.model.requires_grad_(True)
    normed.model(images)
    heat = attribute_unproven(normed, images[:1], 0, key).map
    torch.testing.assert_close(heat, expected, rtol=0, atol=1e-4 * expected.abs().max().item())


class Curious(nn.Module):
    """A network whose answer depends on what its ReLU is."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.relu = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits that give the copy away."""
        return self.relu(self.model(images)) + isinstance(self.relu, Unrolled)


def test_a_copy_that_answers_otherwise_is_refused(network, images):
    """Its map would be that of another network."""
    message = (
        r"^Curious answers otherwise when each use of a ReLU .* Choose a method without rules, "
        r"such as integrated"
    )
    with pytest.raises(AttributionError, match=message):
        copy_unrolled(Curious(network.model), images[:1])


@pytest.mark.parametrize("key", COPIED)
def test_edits_that_a_copy_would_not_know_are_said(network, images, key):
    """A map of the network without the edits would be a wrong picture."""
    changes = compile_edits([set_gates("layer2.1.bn3.1", 0.0)], network.inspection.sites)
    message = (
        r"^This method runs on a copy .* Undo the edits, or choose a method that runs on the "
        r"network itself"
    )
    with edit_gates(network.model, changes), pytest.raises(AttributionError, match=message):
        attribute_unproven(network, images[:1], 0, key)


@pytest.mark.parametrize("key", RULED)
def test_no_pass_of_the_model_itself_meets_a_hook_of_captums(network, images, key):
    """Others run the shared model meanwhile: only hooks that know whose pass it is may hang
    there.
    """
    hooks: list[str] = []
    layer = network.model.layer1[0].relu

    def look(*_: object) -> None:
        tables = (layer._backward_hooks, layer._forward_hooks, layer._forward_pre_hooks)
        hooks.extend(hook.__module__ for table in tables for hook in table.values())

    with network.model.conv1.register_forward_hook(look):
        attribute_unproven(network, images[:1], 0, key)
    # Ours, which others' passes tell nothing.
    assert set(hooks) <= {"se_viz.gates.hooks"}


def test_a_copy_leaves_the_modules_of_the_model(network, images):
    """Stand-ins hang in the copy alone: the model keeps every object it had."""
    before = dict(network.model.named_modules())
    copy_unrolled(network.model, images[:1])
    assert dict(network.model.named_modules()) == before
    assert not uses(network.model)
