"""Rules in place of derivatives, up to one gate: Captum's own maps, on a copy that is as before
afterwards.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import captum.attr
import pytest
import torch
from timm.layers.eca import EcaModule
from timm.layers.squeeze_excite import EffectiveSEModule, SEModule
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.catalogue.neurons import NEURON_METHODS
from se_viz.attribution.gates.neuron_rules import Reader
from se_viz.attribution.gates.neurons import attribute_neuron
from se_viz.attribution.passes.copies import Unrolled, copy_unrolled
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.question.records import NeuronAttribution
from se_viz.errors import AttributionError, CaptureError
from se_viz.gates.neurons import Neuron
from se_viz.networks import Network
from tests.support.reused import TwiceApart

pytestmark = pytest.mark.slow

RULED = [key for key, row in NEURON_METHODS.items() if row.kind == "rule"]
GUIDED = ["guided_backprop", "deconvolution"]
CHANNEL = 3
FIRST = Neuron("layer1.0.bn3.1", CHANNEL)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Plain(nn.Module):
    """Two blocks, and no function that runs twice; the first block comes after a ReLU or before
    any.
    """

    def __init__(self, first: nn.Module, *, relu: bool = True) -> None:
        super().__init__()
        self.start = nn.Conv2d(3, 8, 3, 2)
        self.relu = nn.ReLU() if relu else nn.Identity()
        self.first = first
        self.middle = nn.Conv2d(8, 8, 3)
        self.bend = nn.ReLU()
        self.last = SqueezeExcitation(8, 4)
        self.end = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Return four logits."""
        features = self.first(self.relu(self.start(images)))
        return self.end(self.last(self.bend(self.middle(features))).mean((2, 3)))


class Aside(Plain):
    """A ReLU runs before the first block, on a way that joins after it."""

    def __init__(self) -> None:
        super().__init__(EcaModule(8), relu=False)
        self.aside = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Return four logits."""
        features = self.start(images)
        side = self.aside(features)
        return self.end(self.last(self.bend(self.middle(self.first(features) + side))).mean((2, 3)))


class Apart(TwiceApart):
    """The network whose block is used twice, as one with a block for each use."""

    def __init__(self, twice: nn.Module) -> None:
        super().__init__()
        self.load_state_dict(twice.state_dict())
        self.again = copy.deepcopy(self.se)

    def forward(self, images: Tensor) -> Tensor:
        """Return four logits."""
        return self.end(self.again(self.se(self.start(images)).tanh()).mean((2, 3)))


def seeded(build: Callable[[], nn.Module]) -> Network:
    """Return a network whose gates differ."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = build()
        for module in model.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.3)
    return Network.from_model(model, classes=list("abcd"), input_size=64)


@dataclass(frozen=True)
class Kind:
    """One spelling of a block, the modules that make its logit and its gate, and where these hold
    a channel.
    """

    build: Callable[[], nn.Module]
    logit: str
    gate: str
    place: tuple[int, ...] = (CHANNEL, 0, 0)


KINDS = {
    "torchvision": Kind(lambda: SqueezeExcitation(8, 4), "fc2", "scale_activation"),
    "hard": Kind(
        lambda: SqueezeExcitation(8, 4, scale_activation=nn.Hardsigmoid), "fc2", "scale_activation"
    ),
    "timm": Kind(lambda: SEModule(8, rd_channels=4), "fc2", "gate"),
    "ese": Kind(lambda: EffectiveSEModule(8), "fc", "gate"),
    "eca": Kind(lambda: EcaModule(8), "conv", "gate", (0, CHANNEL)),
}

SHARED = [
    (key, name, logit)
    for key, name, logit in product(RULED, KINDS, [False, True])
    # Timm's own sigmoid has a rule here, and Captum passes it back by its slope.
    if logit or key in GUIDED or name not in ("timm", "eca")
]
"""What Captum and we have the same rules for."""


@pytest.fixture
def plain() -> Network:
    return seeded(lambda: Plain(SqueezeExcitation(8, 4)))


def settings_of(key: str) -> dict[str, Any]:
    """Return the same settings for Captum and for us: what an image is compared with is no part of
    the rules.
    """
    if not NEURON_METHODS[key].baseline:
        return {}
    draws = 0.2 * torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    return {"baselines": draws if key == "deep_lift_shap" else draws[:1]}


def ask(key: str, network: Network, neuron: Neuron, image: Tensor) -> NeuronAttribution:
    return attribute_neuron(network, image, neuron, key, **settings_of(key))


def direct(key: str, network: Network, path: str, place: tuple[int, ...], image: Tensor) -> Tensor:
    """Return the map of Captum's own class for neurons, with its hooks on a model of the same
    weights.
    """
    model = copy.deepcopy(network.model)
    algorithm = getattr(captum.attr, f"Neuron{NEURON_METHODS[key].algorithm}")(
        model, model.get_submodule(path)
    )
    with warnings.catch_warnings():
        # That hooks are set.
        warnings.simplefilter("ignore", UserWarning)
        return algorithm.attribute(image, place, **settings_of(key))[0].sum(0)


def assert_same(values: Tensor, expected: Tensor) -> None:
    """Compare maps on the scale of their greatest value: other batch sizes add in another order."""
    assert expected.any()
    torch.testing.assert_close(
        values, expected.detach(), rtol=0, atol=1e-4 * expected.abs().max().item()
    )


def leftovers(model: nn.Module) -> Iterator[object]:
    """Yield what a run may leave on a model: hooks, what DeepLift notes, gradients."""
    for module in model.modules():
        yield from (hook for kind in HOOKS for hook in getattr(module, kind).values())
        yield from (name for name in ("input", "output", "input_ref") if name in vars(module))
    yield from (
        value for value in model.parameters() if value.grad is not None or value.requires_grad
    )


@pytest.mark.parametrize(("key", "name", "logit"), SHARED)
def test_a_map_is_captums_of_the_neuron(image: Tensor, key: str, name: str, logit: bool):
    """Sigmoids of PyTorch and of timm, hard ones, and gates of (batch, 1, channels): read and
    differentiated alike.

    At the first block: a product that comes before a gate has a rule here, and Captum has none.
    """
    kind = KINDS[name]
    network = seeded(lambda: Plain(kind.build()))
    expected = direct(
        key, network, f"first.{kind.logit if logit else kind.gate}", kind.place, image
    )
    assert_same(ask(key, network, Neuron("first", CHANNEL, logit), image).map, expected)


@pytest.mark.parametrize("key", GUIDED)
def test_guided_maps_are_captums_behind_another_block(plain: Network, image: Tensor, key: str):
    """They pass products back as gradients do."""
    expected = direct(key, plain, "last.scale_activation", (2, 0, 0), image)
    assert_same(ask(key, plain, Neuron("last", 2), image).map, expected)


@pytest.mark.parametrize("use", [1, 2])
@pytest.mark.parametrize("key", GUIDED)
def test_the_uses_of_a_block_are_told_apart(image: Tensor, key: str, use: int):
    """The same network with a block for each use says what each use's map is."""
    network = seeded(TwiceApart)
    apart = Network.from_model(Apart(network.model), classes=list("abcd"), input_size=64)
    expected = direct(key, apart, "again.gate" if use == 2 else "se.gate", (CHANNEL, 0, 0), image)
    assert_same(
        ask(key, network, Neuron("se#2" if use == 2 else "se", CHANNEL), image).map, expected
    )


@pytest.mark.parametrize("logit", [False, True])
@pytest.mark.parametrize("block", ["first", "last"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_shares_of_deep_lift_add_up(image: Tensor, kind: Kind, block: str, logit: bool):
    """Summation to delta (arXiv 1704.02685, section 3.1), behind the product of another block
    too.
    """
    network = seeded(lambda: Plain(kind.build()))
    attribution = ask("deep_lift", network, Neuron(block, CHANNEL, logit), image)
    assert attribution.completeness_error is not None
    assert attribution.explained
    # What is explained is a difference of two numbers that are about 1, and rounded.
    assert attribution.map.sum().item() == pytest.approx(attribution.explained, abs=1e-6)
    assert attribution.completeness_error < 1e-6


@pytest.mark.parametrize("key", RULED)
@pytest.mark.parametrize("logit", [False, True])
def test_nothing_is_left_on_the_model(plain: Network, image: Tensor, key: str, logit: bool):
    """Its logit ends the pass early; rules, and what DeepLift notes, are on a copy that is gone
    afterwards.
    """
    ask(key, plain, Neuron("first", CHANNEL, logit), image)
    assert not [*leftovers(plain.model)]


def test_a_copy_that_ended_early_begins_anew(network: Network, image: Tensor):
    """A pass to a gate leaves a ReLU between two of its uses: what runs next must not start
    there.
    """
    twin = copy_unrolled(network.model, image)
    Reader(twin, FIRST)(image)
    calls: list[nn.Module] = []
    for module in twin.modules():
        if not isinstance(module, Unrolled):
            continue
        module.uses[0].register_forward_hook(lambda use, *_: calls.append(use))
        with torch.no_grad():
            module(torch.zeros(1, 1, 4, 4))
        assert calls[-1:] == [module.uses[0]]


def test_a_gate_after_a_map_of_the_answer_is_the_same(plain: Network, image: Tensor):
    """One ends early and the other does not, on copies of the same modules."""
    neuron = Neuron("first", CHANNEL)
    expected = ask("guided_backprop", plain, neuron, image).map
    whole = attribute(plain, image, 1, "guided_backprop").map
    assert torch.equal(ask("guided_backprop", plain, neuron, image).map, expected)
    assert torch.equal(attribute(plain, image, 1, "guided_backprop").map, whole)


@pytest.mark.parametrize("build", [lambda: Plain(EcaModule(8), relu=False), Aside])
@pytest.mark.parametrize("key", GUIDED)
def test_a_gate_that_no_relu_leads_to_is_refused(
    image: Tensor, build: Callable[[], nn.Module], key: str
):
    """Its map would be the plain gradient by another name, though the network has ReLUs later, or
    on another way.
    """
    network = seeded(build)
    message = (
        r" changes how ReLU .*, and none leads to this gate: .* plain gradient\. Choose Saliency "
        r"or Input x Gradi"
    )
    with pytest.raises(AttributionError, match=f"^{NEURON_METHODS[key].title}{message}"):
        ask(key, network, Neuron("first", CHANNEL), image)
    assert not [*leftovers(network.model)]
    assert ask("deconvolution", network, Neuron("last", CHANNEL), image).map.any()


@pytest.mark.parametrize("key", GUIDED)
def test_without_a_relu_captums_map_is_the_plain_gradient(image: Tensor, key: str):
    """This is what the refusal says."""
    network = seeded(Aside)
    module = network.model.get_submodule("first.gate")
    plain = captum.attr.NeuronGradient(network.model, module).attribute(
        image.clone().requires_grad_(), (0, CHANNEL)
    )
    assert isinstance(plain, Tensor)
    assert_same(direct(key, network, "first.gate", (0, CHANNEL), image), plain[0].sum(0))


def test_a_pre_sigmoid_value_is_named_where_it_is_refused(image: Tensor):
    """What is explained is the one or the other."""
    with pytest.raises(
        AttributionError, match="none leads to the value before this gate's function: "
    ):
        ask("deconvolution", seeded(Aside), Neuron("first", CHANNEL, logit=True), image)


@pytest.mark.parametrize("key", RULED)
def test_a_failure_leaves_nothing(plain: Network, image: Tensor, key: str):
    """A channel that is not there is found in a pass of the network itself."""
    with pytest.raises(CaptureError, match=r"^first has no channel 8\. Choose one from 0 to 7\.$"):
        ask(key, plain, Neuron("first", 8), image)
    assert not [*leftovers(plain.model)]


@pytest.mark.parametrize("key", ["deep_lift", "deep_lift_shap"])
def test_a_logit_that_hardly_moves_has_a_map_of_hardly_anything(
    plain: Network, image: Tensor, key: str
):
    """What its shares miss of a rise that is a rounding or two is no failure of the rules."""
    fc: Any = plain.model.get_submodule("first.fc2")
    with torch.no_grad():
        fc.weight[CHANNEL] *= 2e-7
    attribution = ask(key, plain, Neuron("first", CHANNEL, logit=True), image)
    assert attribution.completeness_error is not None
    assert attribution.completeness_error > 0.5 * abs(attribution.explained or 0)
    assert attribution.map.abs().max() < 1e-6


class Flat(nn.Module):
    """A function without a rule, as flat at the image as at its baseline, and between them a
    rise.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Return a number for each cell."""
        return features.clamp(-0.001, 0.001)


def test_shares_that_miss_most_of_their_sum_are_no_map(image: Tensor):
    """Where its slope passes nothing back, however far the gate has moved, the shares are
    nobody's.
    """
    network = seeded(
        lambda: Plain(nn.Sequential(nn.BatchNorm2d(8), Flat(), SqueezeExcitation(8, 4)))
    )
    message = (
        r"^DeepLift's shares miss [\d.e-]+ of the [\d.e-]+ that they should add up to on this image"
    )
    with pytest.raises(AttributionError, match=message):
        ask("deep_lift", network, Neuron("first.2", CHANNEL), 3 * image)
    assert not [*leftovers(network.model)]
