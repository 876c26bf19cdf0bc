"""Guided methods pass back by their rule through every use of a ReLU, and nobody else does."""

import threading
from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.passes.copies import copy_unrolled
from se_viz.attribution.passes.guided import Guided
from se_viz.attribution.pixels.run import attribute
from se_viz.errors import AttributionError
from se_viz.gates import edit_gates
from se_viz.gates.surgery import compile_edits, set_gates
from se_viz.networks import Network
from tests.attribution.passes.test_copies import Beside, Twice

RULES = {"GuidedBackprop": False, "Deconvolution": True}
pytestmark = pytest.mark.filterwarnings("ignore:Setting backward hooks")


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def ours(name: str, model: nn.Module, inputs: Tensor) -> Tensor:
    guided = Guided(model, model, open_all=RULES[name])
    return direct(name, guided, inputs)


def direct(name: str, model: nn.Module, inputs: Tensor) -> Tensor:
    inputs = inputs.clone().requires_grad_()
    return getattr(captum.attr, name)(model).attribute(inputs, target=0)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("inplace", [False, True])
def test_the_values_are_captums_to_the_bit(network: Network, images: Tensor, name: str, inplace):
    """On a copy that has a module for each use, as Captum asks for: 65 uses of 33 modules here."""
    model, image = network.model, images[:1]
    expected = direct(name, copy_unrolled(model, image), image)
    relus: list[Any] = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    before = [relu.inplace for relu in relus]
    try:
        for relu in relus:
            relu.inplace = inplace
        guided = Guided(model, model, open_all=RULES[name])
        assert torch.equal(direct(name, guided, image), expected)
    finally:
        for relu, value in zip(relus, before, strict=True):
            relu.inplace = value
    assert (len(guided.uses), guided.uses.total()) == (33, 65)


class Halves(nn.Module):
    """A ReLU that writes over one half of what it is given, which is read afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        """Return one number an image."""
        features = -2 * images
        self.relu(features[:, :1])
        return features.sum((1, 2, 3))[:, None]


@pytest.mark.parametrize("name", RULES)
def test_what_a_relu_overwrites_is_what_the_network_reads(name: str):
    """Its answer rests on that: a module that writes elsewhere would explain another network."""
    inputs, model = noise(1, 3, 4, 4), Halves()
    expected = torch.full_like(inputs, -2.0)
    open_at = torch.ones_like(inputs[:, :1]) if RULES[name] else (inputs[:, :1] < 0).float()
    # What comes back to the ReLU is 1 everywhere, so that the rules differ where it was closed.
    expected[:, :1] = -2 * open_at
    assert torch.equal(ours(name, model, inputs), expected)


@pytest.mark.parametrize("name", RULES)
def test_what_comes_back_beside_a_relu_is_kept(name: str):
    """Only the ReLU's own way is replaced: -2 is shut off by both rules, and the shortcut's -3
    remains.
    """
    inputs = noise(1, 3, 4, 4)
    assert torch.equal(ours(name, Beside(), inputs), torch.full_like(inputs, -3.0))


class Sum(nn.Module):
    """One number an image."""

    def forward(self, features: Tensor) -> Tensor:
        """Return the sum of all values."""
        return features.sum((1, 2, 3))[:, None]


@pytest.mark.parametrize("name", RULES)
def test_a_relu_in_several_places_is_ruled_in_each(name: str):
    """Three uses, one of them first in the pass and one behind another."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Twice()
    inputs = noise(2, 3, 4, 4)
    twin = copy_unrolled(model, inputs)
    first, second = (
        direct(name, nn.Sequential(one, Sum()), inputs)
        for one in (Guided(model, model, open_all=RULES[name]), twin)
    )
    assert first.any()
    assert torch.equal(first, second)


def test_another_thread_meets_no_rule(network: Network, images: Tensor):
    """It runs the same modules while the hooks of a guided pass hang on them."""
    model, image = network.model, images[:1]

    def slope() -> Tensor:
        inputs = image.clone().requires_grad_()
        return torch.autograd.grad(model(inputs)[0, 0], inputs)[0]

    plain, found = slope(), list[Tensor]()

    def answer(inputs: Tensor) -> Tensor:
        other = threading.Thread(target=lambda: found.append(slope()))
        other.start()
        other.join()
        return model(inputs)

    guided = Guided(answer, model, open_all=False)
    values = direct("GuidedBackprop", guided, image)
    assert torch.equal(found[0], plain)
    assert not torch.equal(values, plain)


class Idle(nn.Module):
    """A network with a ReLU that no pass runs."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.relu = inner, nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        return self.inner(images)


class Called(nn.Module):
    """One SE block, and a relu that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.start, self.se = nn.Conv2d(3, 8, 1), SqueezeExcitation(8, 4, nn.SiLU)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        return torch.relu(self.se(self.start(images))).mean((2, 3))


@pytest.mark.parametrize("wrap", [lambda model: model, Idle])
def test_without_a_relu_module_that_runs_a_map_is_refused(
    images: Tensor, wrap: Callable[[nn.Module], nn.Module]
):
    """It would be the plain gradient by another name."""
    plain = Network.from_model(wrap(Called()).eval(), input_size=64)
    words = r"runs none \(1 of silu, 1 of relu instead\): its map would"
    with pytest.raises(AttributionError, match=words):
        attribute(plain, images[:1], 0, "guided_backprop")


@pytest.mark.parametrize("key", ["guided_backprop", "deconvolution"])
def test_edits_are_part_of_what_is_explained(network: Network, images: Tensor, key: str):
    """A block whose gates are all 1 passes its input on: the map is that of a network without
    it.
    """
    path, image = "layer2.1.bn3.1", images[:1]
    changes = compile_edits([set_gates(path, 1.0)], network.inspection.sites)
    with edit_gates(network.model, changes):
        found = attribute(network, image, 0, key).map
    block = network.model.get_submodule(path)
    try:
        network.model.set_submodule(path, nn.Identity())
        without = attribute(network, image, 0, key).map
    finally:
        network.model.set_submodule(path, block)
    assert torch.equal(found, without)
    assert not torch.equal(found, attribute(network, image, 0, key).map)
