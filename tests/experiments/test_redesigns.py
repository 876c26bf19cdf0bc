"""Blocks designed anew, against blocks written out place by place in NumPy and put into a copy of
the network.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from se_viz.errors import EditError
from se_viz.experiments import analyse, redesign
from se_viz.gates.designs import OWN, Design
from se_viz.gates.inspection import find_gates
from se_viz.insertion import insert_se
from se_viz.networks import Network, NetworkCard
from se_viz.networks.cost import measure_cost
from tests.conftest import randomise

pytestmark = pytest.mark.slow

SIGMAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda logit: 1 / (1 + np.exp(-logit)),
    "tanh": np.tanh,
    "relu": lambda logit: np.maximum(logit, 0),
}
DELTAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda before: np.maximum(before, 0),
    "silu": lambda before: before / (1 + np.exp(-before)),
}
DESIGNS = (
    {"squeeze": "max"},
    {"squeeze": "none"},
    {"excitation": "tanh"},
    {"excitation": "relu"},
    {"ratio": 32},
    {"squeeze": "none", "excitation": "tanh", "ratio": 32},
    {"squeeze": "max", "excitation": "relu", "ratio": 64},
)
"""Each choice that acts on gates, alone and with others."""


@dataclass(frozen=True)
class Weights:
    """The layers of one block, in double precision."""

    first: np.ndarray
    first_bias: np.ndarray
    second: np.ndarray
    second_bias: np.ndarray
    delta: str


def read_weights(block: nn.Module, names: tuple[str, str], delta: str) -> Weights:
    layers = [block.get_submodule(name) for name in names]
    values = [
        (layer.get_parameter("weight").flatten(1), layer.get_parameter("bias")) for layer in layers
    ]
    (first, first_bias), (second, second_bias) = (
        [value.detach().double().numpy() for value in pair] for pair in values
    )
    return Weights(first, first_bias, second, second_bias, delta)


class Literal(nn.Module):
    """A block written out: one image, loops over channels and places."""

    def __init__(self, weights: Weights, design: Design) -> None:
        super().__init__()
        self.weights = weights
        self.design = design
        self.units = [*range(len(weights.first))]
        self.hidden: list[float] = []
        self.gates = np.empty(0)

    def forward(self, features: Tensor) -> Tensor:
        """Return the product."""
        (maps,) = features.double().numpy()
        if self.design.squeeze == "none":
            after, every = maps.copy(), []
            for row in range(maps.shape[1]):
                for column in range(maps.shape[2]):
                    gates = self.excite(maps[:, row, column])
                    after[:, row, column] *= gates
                    every.append(gates)
            self.gates = np.mean(every, 0)
        else:
            pool = np.max if self.design.squeeze == "max" else np.mean
            self.gates = self.excite(np.array([pool(channel) for channel in maps]))
            after = np.stack([s * u for s, u in zip(self.gates, maps, strict=True)])
        return torch.from_numpy(after)[None].to(features)

    def excite(self, squeeze: np.ndarray) -> np.ndarray:
        """Return gates of one number a channel."""
        weights = self.weights
        logit = weights.second_bias.copy()
        self.hidden = []
        for unit in self.units:
            before = weights.first_bias[unit] + np.dot(weights.first[unit], squeeze)
            self.hidden.append(float(DELTAS[weights.delta](before)))
            logit += weights.second[:, unit] * self.hidden[-1]
        return SIGMAS["sigmoid" if self.design.excitation == OWN else self.design.excitation](logit)


def put_literals(
    network: Network, names: tuple[str, str], delta: str, design: Design
) -> tuple[nn.Module, list[Literal]]:
    """Return a copy of a network whose blocks are written out."""
    model = copy.deepcopy(network.model)
    literals = []
    for site in network.inspection.sites:
        weights = read_weights(model.get_submodule(site.block), names, delta)
        literal = Literal(weights, design if site.block in design.blocks else Design(()))
        parent, _, name = site.block.rpartition(".")
        setattr(model.get_submodule(parent), name, literal)
        literals.append(literal)
    return model, literals


@torch.no_grad()
def run_literally(
    network: Network, names: tuple[str, str], delta: str, image: Tensor, design: Design
) -> tuple[Tensor, list[np.ndarray]]:
    """Return the answer and the gates of each block, by loops."""
    own, before = put_literals(network, names, delta, Design(()))
    own(image)
    model, literals = put_literals(network, names, delta, design)
    for literal, plain in zip(literals, before, strict=True):
        channels = len(literal.weights.second)
        count = max(1, channels // (design.ratio or 1))
        if literal.design is design and design.ratio and count < len(plain.units):
            adds = [
                sum(abs(weight * hidden) for weight in literal.weights.second[:, unit])
                for unit, hidden in enumerate(plain.hidden)
            ]
            ranked = sorted(plain.units, key=lambda unit: -adds[unit])
            literal.units = sorted(ranked[:count])
    return model(image)[0], [literal.gates for literal in literals]


@pytest.fixture
def quick(quick_model: nn.Module, quick_card: NetworkCard) -> Network:
    """Return a small network of timm, whose hidden units pass a SiLU."""
    return Network(copy.deepcopy(quick_model).eval(), quick_card, torch.device("cpu"))


def design_of(network: Network, blocks: int, **choices) -> Design:
    """Return a design of the first blocks of a network; below 0 without the last ones."""
    paths = [site.block for site in network.inspection.sites]
    return Design(tuple(paths[:blocks]), **choices)


@pytest.mark.parametrize("choices", DESIGNS, ids=str)
def test_each_choice_is_what_loops_make_of_it(network: Network, image: Tensor, choices: dict):
    """Gates and answer, also of the later blocks, which react to what changed before them."""
    design = design_of(network, -3, **choices)
    answer, gates = run_literally(network, ("fc1", "fc2"), "relu", image, design)
    changed = redesign(network, image, design)
    # Sixteen blocks in single precision, where the loops have double.
    torch.testing.assert_close(changed.analysis.logits, answer, rtol=1e-4, atol=2e-5)
    for record, expected in zip(changed.analysis.records, gates, strict=True):
        np.testing.assert_allclose(record.gate[0], expected, rtol=1e-4, atol=2e-5)
    before = analyse(network, image)
    pairs = zip(changed.analysis.records, before.records, strict=True)
    assert max((now.gate - own.gate).abs().max() for now, own in pairs) > 0.02
    assert not changed.refused


@pytest.mark.parametrize("choices", DESIGNS, ids=str)
def test_blocks_of_timm_are_designed_alike(quick: Network, image: Tensor, choices: dict):
    """Other names, another delta, and hidden units that are no sixteenth."""
    design = design_of(quick, 99, **choices)
    answer, gates = run_literally(quick, ("conv_reduce", "conv_expand"), "silu", image, design)
    changed = redesign(quick, image, design)
    torch.testing.assert_close(changed.analysis.logits, answer, rtol=1e-4, atol=2e-5)
    for record, expected in zip(changed.analysis.records, gates, strict=True):
        np.testing.assert_allclose(record.gate[0], expected, rtol=1e-4, atol=2e-5)
    assert not changed.refused


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"squeeze": "mean", "excitation": "sigmoid", "ratio": 16},
        {"ratio": 2},
    ],
    ids=str,
)
def test_what_a_block_has_already_changes_no_bit(network: Network, image: Tensor, choices: dict):
    """A choice that is made must not change the last digits of an answer that it leaves."""
    before = analyse(network, image)
    same = redesign(network, image, design_of(network, 99, **choices), before=before)
    assert torch.equal(same.analysis.logits, before.logits)
    for record, own in zip(same.analysis.records, before.records, strict=True):
        assert torch.equal(record.gate, own.gate)
    assert same.divergence == 0


def test_the_network_is_left_as_it_is(network: Network, image: Tensor):
    """Others use it meanwhile, and the next photo is to meet the network itself."""
    before = analyse(network, image)
    weights = copy.deepcopy(network.model.state_dict())
    redesign(network, image, design_of(network, 99, squeeze="none", excitation="tanh", ratio=32))
    for name, value in network.model.state_dict().items():
        assert torch.equal(value, weights[name])
    assert not any(
        module._forward_hooks or module._forward_pre_hooks for module in network.model.modules()
    )
    assert torch.equal(analyse(network, image).logits, before.logits)


def test_blocks_of_all_other_stages_let_everything_pass(network: Network, image: Tensor):
    """By the definition of a block, gates of 1 are no block at all."""
    changed = redesign(network, image, Design((), stage=4))
    model = copy.deepcopy(network.model)
    for site in network.inspection.sites:
        if site.stage != 4:
            parent, _, name = site.block.rpartition(".")
            setattr(model.get_submodule(parent), name, nn.Identity())
    with torch.no_grad():
        answer = model(image)[0]
    torch.testing.assert_close(changed.analysis.logits, answer)
    for record in changed.analysis.records:
        assert bool((record.gate == 1).all()) == (record.stage != 4)


def test_a_gain_stays_neutral_where_a_block_is_bypassed(card: NetworkCard, image: Tensor):
    """Norm-free networks multiply by 2 beside the block: its gates are then 0.5, and all is 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model("test_nfnet", num_classes=5)
    network = Network(model.eval(), replace(card, arguments={}), torch.device("cpu"))
    stage = network.inspection.sites[0].stage
    changed = redesign(network, image, Design((), stage=stage))
    others = [record for record in changed.analysis.records if record.stage != stage]
    assert others
    for record in others:
        assert record.gain == 2
        torch.testing.assert_close(record.gate, torch.ones_like(record.gate))


def test_sizes_are_what_the_network_is_counted_by(network: Network, image: Tensor):
    """One way of counting: the sum over blocks is what the page *Networks* shows of the whole."""
    cost = measure_cost(network.model, 64)
    sizes = redesign(network, image, design_of(network, 99)).sizes
    assert sum(size.parameters[0] for size in sizes) == cost.se_parameters
    assert sum(size.products[0] or 0 for size in sizes) == pytest.approx(1e9 * cost.se_gflops)
    assert all(size.parameters[0] == size.parameters[1] for size in sizes)


@pytest.mark.parametrize("choices", [{"reduction": 8}, {"reduction": 32}, {"squeeze": "none"}])
def test_sizes_after_a_choice_are_those_of_a_block_that_was_built_so(choices: dict, image: Tensor):
    """Blocks with these choices, as they are put into a network to be trained, are counted."""

    def build(**choices) -> nn.Module:
        model = timm.create_model("test_resnet", num_classes=5).eval()
        return insert_se(
            model, where=lambda path, _: path.endswith("bn2"), size=64, **choices
        ).eval()

    model = build()
    randomise(model)
    built = measure_cost(model, 64)
    other = measure_cost(build(**choices), 64)
    paths = [site.block for site in find_gates(model, size=64)]
    sizes = _sizes_of(model, paths, choices, image)
    grown = [sum(size.parameters[i] for size in sizes) for i in (0, 1)]
    assert grown[1] - grown[0] == other.parameters - built.parameters
    work = [sum(size.products[i] or 0 for size in sizes) for i in (0, 1)]
    # The whole network: blocks without a squeeze are no SE blocks to whoever counts.
    assert work[1] - work[0] == pytest.approx(1e9 * (other.gflops - built.gflops), abs=1)


def _sizes_of(model: nn.Module, paths: list[str], choices: dict, image: Tensor):
    card = NetworkCard(
        name="built",
        title="built",
        architecture="resnet18",
        arguments={},
        classes=("ant", "bee", "cat", "dog", "elk"),
        input_size=64,
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
        parameters=1,
        top1=None,
        evaluated_with="",
        trained_with="",
        data="",
        date="2026-01-01",
        sha256="",
        licence="Apache-2.0",
    )
    network = Network(model, card, torch.device("cpu"))
    design = Design(
        tuple(paths),
        ratio=choices.get("reduction"),
        squeeze=choices.get("squeeze", OWN),
    )
    return redesign(network, image, design).sizes


def test_a_block_without_two_layers_stays_and_says_why(card: NetworkCard, image: Tensor):
    """The efficient channel attention has no W1 and W2 to choose of; the other blocks go on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model("test_resnet", num_classes=5, block_args={"attn_layer": "eca"})
        randomise(model)
    network = Network(model.eval(), replace(card, arguments={}), torch.device("cpu"))
    before = analyse(network, image)
    changed = redesign(network, image, design_of(network, 99, squeeze="max"))
    assert len(changed.refused) == len(network.inspection.sites)
    assert all("not by the paper's layer" in words for _, words in changed.refused)
    assert torch.equal(changed.analysis.logits, before.logits)
    assert changed.sizes == ()


class Inline(nn.Module):
    """A unit whose forward convolves, pools, excites and multiplies itself."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.fc1 = nn.Linear(8, 4)
        self.fc2 = nn.Linear(4, 8)
        self.end = nn.Linear(8, 5)

    def forward(self, images: Tensor, squeeze: str = "mean") -> Tensor:
        """Return logits."""
        features = self.conv(images)
        pooled = features.mean((2, 3)) if squeeze == "mean" else features.amax((2, 3))
        gates = torch.sigmoid(self.fc2(torch.relu(self.fc1(pooled))))
        features = features * gates[:, :, None, None]
        return self.end(torch.relu(features).mean((2, 3)))


def test_a_block_in_a_longer_forward_has_another_squeeze_but_no_gate_for_each_place(
    card: NetworkCard, image: Tensor
):
    """What it puts out is not its map, so that there is nothing to multiply place by place."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Inline().eval()
    network = Network(model, replace(card, arguments={}), torch.device("cpu"))
    changed = redesign(network, image, design_of(network, 1, squeeze="max"))
    with torch.no_grad():
        torch.testing.assert_close(changed.analysis.logits, model(image, "max")[0])
    assert not changed.refused
    (refusal,) = redesign(network, image, design_of(network, 1, squeeze="none")).refused
    assert "Choose the squeeze mean or max" in refusal[1]


@pytest.mark.parametrize(
    ("design", "words"),
    [
        (Design(("layer9",)), "no SE block 'layer9'"),
        (Design((), squeeze="median"), "no squeeze 'median'"),
        (Design((), excitation="gelu"), "no excitation 'gelu'"),
        (Design((), stage=7), "no stage 7"),
        (Design((), ratio=0), "ratio 0 is below 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_design_that_does_not_fit_is_refused(
    network: Network, image: Tensor, design: Design, words: str
):
    """Designs come from links that anybody can write."""
    with pytest.raises(EditError, match=words):
        redesign(network, image, design)
