"""What came through the gates and what came past them: by hand, by other ways to the same number,
and by Captum.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import captum.attr
import pytest
import torch
from timm.layers.eca import CecaModule
from timm.layers.squeeze_excite import EffectiveSEModule, SEModule, SqueezeExciteCl
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.paths.trace import (
    MOST,
    NETWORK,
    TOLERANCE,
    gate_sets,
    stage_key,
    trace_paths,
)
from se_viz.attribution.question.targets import Target
from se_viz.errors import AttributionError, NoSEBlocksError, OvertakenError
from se_viz.gates import edit_gates
from se_viz.networks import Network
from tests.support.passes import uploading

pytestmark = pytest.mark.slow

MIDDLE = "layer3.0.bn3.1"
LAST = "layer4.0.bn3.1"
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class SELayer(nn.Module):
    """A block whose gate is linear in the squeeze, s = w z + b for each channel, so that integrals
    are by hand.
    """

    def __init__(self, weights: Tensor, bias: Tensor) -> None:
        super().__init__()
        layer = nn.Linear(len(weights), len(weights))
        layer.weight.data = weights.diag()
        layer.bias.data = bias.clone()
        self.fc = nn.Sequential(layer, nn.Identity(), nn.Identity(), nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        """Return the input times its gate."""
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class Chain(nn.Module):
    """Blocks one after another, the mean of each channel, and weights to the logits."""

    def __init__(self, *blocks: nn.Module, head: Tensor) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(head.shape[1], head.shape[0], bias=False)
        self.head.weight.data = head.clone()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.blocks(images).mean((2, 3)))


W = torch.tensor([0.5, -1.0, 2.0])
B = torch.tensor([0.3, 0.7, -0.2])
V = torch.tensor([[1.0, 2.0, -0.5], [0.2, 0, 1]])


@pytest.fixture
def picture() -> Tensor:
    return torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(4)) + 0.5


@pytest.fixture
def network(shallow: Network) -> Network:
    """A block a stage, as one after another is all that the maths knows of."""
    return shallow


def network_of(model: nn.Module, size: int = 8) -> Network:
    return Network.from_model(model, input_size=size)


def test_a_block_with_a_linear_gate_is_integrated_by_hand(picture: Tensor):
    """F = v (w z + b) z: past the gate v (w z^2 / 2 + b z), through it v w z^2 / 2; linear
    integrands, so exact.
    """
    network = network_of(Chain(SELayer(W, B), head=V))
    z = picture.mean((2, 3))[0]
    trace = trace_paths(network, picture, 0, n_steps=2)
    flow = trace.flows[NETWORK]
    torch.testing.assert_close(flow.through["blocks.0"], V[0] * W * z**2 / 2)
    assert flow.bypass == pytest.approx((V[0] * (W * z**2 / 2 + B * z)).sum().item(), rel=1e-5)
    assert trace.rise == pytest.approx((V[0] * (W * z + B) * z).sum().item(), rel=1e-5)
    # The mean gate along the path times a pixel's part in the channel's mean.
    expected = ((V[0] * (W * z / 2 + B))[:, None, None] * picture[0]).sum(0) / 64
    torch.testing.assert_close(flow.map, expected)
    torch.testing.assert_close(
        trace.gate_map(NETWORK), ((V[0] * W * z / 2)[:, None, None] * picture[0]).sum(0) / 64
    )
    torch.testing.assert_close(flow.mean_slope["blocks.0"], V[0] * z / 2)


def test_from_another_baseline_to_a_difference_of_classes(picture: Tensor):
    """The same integrals between z0 and z, for the difference of two heads."""
    network = network_of(Chain(SELayer(W, B), head=V))
    head = V[1] - V[0]
    start = torch.full_like(picture, 0.25)
    z = picture.mean((2, 3))[0]
    trace = trace_paths(network, picture, Target(1, 0), baseline=start, n_steps=3)
    torch.testing.assert_close(
        trace.flows[NETWORK].through["blocks.0"], head * W * (z**2 - 0.25**2) / 2
    )
    expected = head * (W * (z**2 - 0.25**2) / 2 + B * (z - 0.25))
    assert trace.flows[NETWORK].bypass == pytest.approx(expected.sum().item(), rel=1e-5)


def test_two_blocks_share_the_rise_by_the_power_of_the_squeeze(picture: Tensor):
    """F = v w2 (w1 z^2)^2, with both held v s2 s1 z: a quarter past them, a quarter through s1, a
    half through s2.

    With one of them held the other is part of what it multiplies: F is a square of it, so half and
    half.
    """
    weights = torch.ones(3)
    model = Chain(SELayer(weights, 0 * B), SELayer(weights, 0 * B), head=V)
    sets = {"both": ["blocks.0", "blocks.1"], "first": ["blocks.0"], "second": ["blocks.1"]}
    trace = trace_paths(network_of(model), picture, 0, sets=sets, n_steps=256)
    whole = V[0] * picture.mean((2, 3))[0] ** 4
    pair, first, second = (trace.flows[name] for name in sets)
    # Trapezoids under a cubic: 1 / (2 n^2) of the whole.
    close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)
    close(pair.through["blocks.0"], whole / 4)
    close(pair.through["blocks.1"], whole / 2)
    assert pair.bypass == pytest.approx(whole.sum().item() / 4, rel=1e-4)
    close(first.through["blocks.0"], whole / 2)
    close(second.through["blocks.1"], whole / 2)


def test_through_gates_that_do_not_move_nothing_comes(picture: Tensor):
    """Constant gates are weights: all of the rise is the pixels'."""
    trace = trace_paths(network_of(Chain(SELayer(0 * W, B), head=V)), picture, 0)
    flow = trace.flows[NETWORK]
    assert not flow.through["blocks.0"].any()
    assert flow.bypass == pytest.approx(trace.rise, rel=1e-6)
    assert not trace.gate_map(NETWORK).any()


class OnlyGate(nn.Module):
    """A logit that is the gate itself: what the block puts out, over what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.se = SELayer(W, B)

    def forward(self, images: Tensor) -> Tensor:
        """Return the gates."""
        return (self.se(images) / images).mean((2, 3))


def test_past_a_gate_that_is_the_logit_nothing_comes(picture: Tensor):
    """F = s = w z + b: the rise is w (z - z0), and all of it came through."""
    start = torch.full_like(picture, 0.5)
    trace = trace_paths(network_of(OnlyGate()), picture, 1, baseline=start)
    rise = (W[1] * (picture.mean((2, 3))[0, 1] - 0.5)).item()
    assert trace.flows[NETWORK].carried == pytest.approx(rise, rel=1e-5)
    assert trace.flows[NETWORK].bypass == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(trace.flows[NETWORK].through["se"][[0, 2]], torch.zeros(2))


class Smooth(nn.Module):
    """A block between smooth layers, used once or twice, so that its uses have to be told apart."""

    def __init__(self, block: nn.Module, *, uses: int = 1, last: bool = False) -> None:
        super().__init__()
        self.start = nn.Conv2d(3, 8, 3, 2)
        self.se = block
        self.end = nn.Linear(8, 4)
        self.uses = uses
        self.last = last
        # So that its gates move.
        next(iter(block.parameters())).data *= 3

    def forward(self, images: Tensor) -> Tensor:
        """Return four logits."""
        maps = self.start(images)
        for _ in range(self.uses):
            maps = (
                self.se(maps.movedim(1, -1)).movedim(-1, 1) if self.last else self.se(maps)
            ).tanh()
        return self.end(maps.mean((2, 3)))


CASES: dict[str, Callable[[], nn.Module]] = {
    "used twice": lambda: Smooth(SEModule(8, rd_channels=4), uses=2),
    "hard sigmoid": lambda: Smooth(SqueezeExcitation(8, 4, scale_activation=nn.Hardsigmoid)),
    "one layer": lambda: Smooth(EffectiveSEModule(8)),
    "one layer, padded": lambda: Smooth(CecaModule(8)),
    "channels last": lambda: Smooth(SqueezeExciteCl(8, rd_channels=4), last=True),
}


@pytest.mark.parametrize("name", CASES)
def test_both_parts_are_what_replaced_gates_and_images_give(name: str, image: Tensor):
    """Without any derivative: from one point to the next, move the gates alone and the image
    alone, in both orders.

    Their means add up to the rise exactly, and with shorter steps each goes to its integral.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        network = network_of(CASES[name](), 64)
    names = [network.inspection.sites[-1].name]
    image = image + 2
    flow = trace_paths(network, image, 1, sets={"last": names}, n_steps=32).flows["last"]
    past, through = by_moving(network, [image * (index / 32) for index in range(33)], names)
    assert min(abs(past), abs(through)) > 1e-4
    # Two rules of the second order.
    assert flow.bypass == pytest.approx(past, rel=2e-3)
    assert flow.carried == pytest.approx(through, rel=2e-3)


@torch.no_grad()
def by_moving(network: Network, points: list[Tensor], names: list[str]) -> tuple[float, float]:
    """Return what the image alone and the gates alone do, step by step, by plain passes with
    replaced gates.
    """
    gates = [
        {name: gate for name, gate in read_gates(network, point).items() if name in names}
        for point in points
    ]
    past = through = 0.0
    for (x, y), (s, t) in zip(pairwise(points), pairwise(gates), strict=True):
        start, image_moved, gates_moved, end = (
            answer(network, point, values) for point, values in ((x, s), (y, s), (x, t), (y, t))
        )
        past += (image_moved - start + end - gates_moved) / 2
        through += (gates_moved - start + end - image_moved) / 2
    return past, through


def read_gates(network: Network, point: Tensor) -> dict[str, Tensor]:
    gates: dict[str, Tensor] = {}
    answer(network, point, {}, record=gates)
    return gates


def answer(
    network: Network,
    point: Tensor,
    gates: dict[str, Tensor],
    record: dict[str, Tensor] | None = None,
) -> float:
    """Return the logit with some uses' gates replaced; what each use has in the end is seen."""
    uses: dict[str, int] = {}

    def edit(block: str, live: Tensor) -> Tensor:
        uses[block] = uses.get(block, 0) + 1
        name = block if uses[block] == 1 else f"{block}#{uses[block]}"
        if record is not None:
            record[name] = live.clone()
        return gates.get(name, live)

    blocks = {site.block for site in network.inspection.sites}
    with edit_gates(
        network.model, {block: lambda live, block=block: edit(block, live) for block in blocks}
    ):
        return network.model(point)[0, 1].item()


def test_one_block_alone_is_captums_conductance(network: Network, image: Tensor):
    """Captum holds no other gate: Dhamdhere et al., arXiv 1805.12233, of the sigmoid's outputs.

    Its own hooks.

    What Captum calls the convergence delta of a layer is, up to its integration, minus what
    bypasses it.
    """
    direct = captum.attr.LayerConductance(
        network.model, network.model.get_submodule(f"{MIDDLE}.scale_activation")
    )
    expected, delta = direct.attribute(
        image, target=2, n_steps=256, internal_batch_size=32, return_convergence_delta=True
    )
    flow = trace_paths(network, image, 2, sets={"one": [MIDDLE]}, n_steps=128).flows["one"]
    assert isinstance(expected, Tensor)
    size = flow.through[MIDDLE].abs().max().item()
    # Two rules for a function with kinks.
    torch.testing.assert_close(
        flow.through[MIDDLE], expected.flatten().detach(), rtol=0, atol=0.02 * size
    )
    assert flow.bypass == pytest.approx(-delta.item(), abs=0.03 * flow.size)


def test_the_whole_map_is_integrated_gradients(network: Network, image: Tensor):
    """With no gate held it is the plain method, here by Captum with as many equal steps."""
    trace = trace_paths(network, image, 2, n_steps=64)
    direct = captum.attr.IntegratedGradients(network.model)
    expected = direct.attribute(image, target=2, n_steps=65, method="riemann_trapezoid")[0].sum(0)
    # Captum's weights for 65 points add up to 64 / 65.
    expected = expected * 65 / 64
    torch.testing.assert_close(
        trace.map, expected.detach().float(), rtol=0, atol=1e-3 * expected.abs().max().item()
    )
    assert trace.error == pytest.approx(trace.map.double().sum().item() - trace.rise, abs=1e-5)


@pytest.mark.parametrize("baseline", ["mean", "black"])
def test_both_parts_add_up_to_the_rise_of_two_plain_passes(
    network: Network, image: Tensor, baseline: str
):
    """Each is integrated by itself, so that the sum is a check; it ends within 1 % of what moves,
    or with all steps.
    """
    trace = trace_paths(network, image, Target(2, 0), baseline=baseline)
    start = torch.zeros_like(image)
    if baseline == "black":
        mean, std = (
            torch.tensor(values).view(3, 1, 1) for values in (network.card.mean, network.card.std)
        )
        start = (start - mean) / std
    with torch.no_grad():
        before, after = (network.model(picture)[0] for picture in (start, image))
    assert trace.before == pytest.approx((before[2] - before[0]).item(), abs=1e-5)
    assert trace.after == pytest.approx((after[2] - after[0]).item(), abs=1e-5)
    assert trace.steps <= MOST + 4
    largest = max(flow.size for flow in trace.flows.values())
    for flow in trace.flows.values():
        assert flow.bypass + flow.carried - trace.rise == pytest.approx(flow.error, abs=1e-5)
        assert abs(flow.error) <= TOLERANCE * largest
        assert flow.map.double().sum().item() == pytest.approx(flow.bypass, abs=1e-5)


def test_the_error_that_is_left_is_told_in_logits_and_as_a_share(network: Network, image: Tensor):
    """By its definition, of the worst set; with one step it is far more than the 1 % that a trace
    ends at.
    """
    trace = trace_paths(network, image, 2, n_steps=1)
    errors = [
        trace.error,
        *(flow.bypass + flow.carried - trace.rise for flow in trace.flows.values()),
    ]
    moved = [
        abs(trace.rise + trace.error),
        *(abs(flow.bypass) + abs(flow.carried) for flow in trace.flows.values()),
    ]
    assert trace.miss == pytest.approx(max(map(abs, errors)), abs=1e-6)
    assert trace.miss_share == pytest.approx(trace.miss / max(moved), rel=1e-4)
    assert trace.miss_share > TOLERANCE
    assert trace_paths(network, image, 2).miss_share <= TOLERANCE


def test_errors_of_both_parts_that_hide_each_other_are_doubted(picture: Tensor):
    """F = v z: past a gate s = w z + b and a weight 1 / s comes another curve than through it, and
    both cancel.
    """

    class Undone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.se = SELayer(4 * W.abs(), B.abs())
            self.head = nn.Linear(3, 2, bias=False)
            self.head.weight.data = V.clone()

        def forward(self, images: Tensor) -> Tensor:
            gated = self.se(images).mean((2, 3)) / (1 + images.mean((2, 3)) ** 3)
            return self.head(gated)

    flow = trace_paths(network_of(Undone()), picture, 0, n_steps=4).flows[NETWORK]
    best = trace_paths(network_of(Undone()), picture, 0, n_steps=512).flows[NETWORK]
    off = max(abs(flow.bypass - best.bypass), abs(flow.carried - best.carried))
    # Half as many steps tell the size of an error, not its digits.
    assert off / 3 < flow.doubt < 3 * off
    assert flow.doubt >= abs(flow.error)


def test_every_stage_and_the_network_are_split(session_network: Network, image: Tensor):
    """A ResNet has its gates in stages 2 to 5, of 3, 4, 6 and 3 blocks (arXiv 1709.01507, Table
    1).
    """
    trace = trace_paths(session_network, image, 2, n_steps=1)
    assert {name: len(flow.through) for name, flow in trace.flows.items()} == {
        NETWORK: 16,
        **{stage_key(stage): count for stage, count in ((2, 3), (3, 4), (4, 6), (5, 3))},
    }
    assert gate_sets(session_network.inspection.sites)[stage_key(5)] == tuple(
        f"layer4.{unit}.bn3.1" for unit in range(3)
    )


def test_twice_gives_the_same_to_the_bit(network: Network, image: Tensor):
    """Steps are chosen by numbers alone, and no number is drawn."""
    first, second = (trace_paths(network, image, 2) for _ in range(2))
    assert first.steps == second.steps
    for name in first.flows:
        assert first.flows[name].bypass == second.flows[name].bypass
        assert torch.equal(first.flows[name].map, second.flows[name].map)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_callers_gradient_mode_does_not_matter(network: Network, image: Tensor, mode: Callable):
    """Pages and notebooks wrap whole scripts in inference mode."""
    expected = trace_paths(network, image, 2, n_steps=2)
    with mode():
        trace = trace_paths(network, image.clone(), 2, n_steps=2)
    assert torch.equal(trace.map, expected.map)


def test_others_run_in_between_and_change_nothing(network: Network, image: Tensor):
    """No hook is on the model while the turn is given away: both get to the bit what each gets
    alone.
    """
    alone = trace_paths(network, image, 2, n_steps=9)
    with uploading(network) as uploads:
        trace = trace_paths(network, image, 2, n_steps=9, watch=uploads.watch)
        uploads.expect_alike()
    assert len(uploads.hooks) >= 3
    assert not any(uploads.hooks)
    assert torch.equal(trace.flows[NETWORK].map, alone.flows[NETWORK].map)


def test_one_that_nobody_wants_leaves_nothing(network: Network, image: Tensor):
    """What the watch raises arrives as it was raised; no hook, gradient or mode stays."""
    looks = iter([None, OvertakenError("gone")])

    def watch(_: int) -> None:
        if error := next(looks):
            raise error

    with pytest.raises(OvertakenError, match=r"^gone$"):
        trace_paths(network, image, 2, watch=watch)
    assert sum(len(getattr(m, name)) for m in network.model.modules() for name in HOOKS) == 0
    assert not any(
        value.requires_grad or value.grad is not None for value in network.model.parameters()
    )
    assert not image.requires_grad


def test_progress_counts_steps(network: Network, image: Tensor):
    """What is done goes forward only, and never beyond what it is said to take."""
    reports: list[tuple[int, int]] = []
    trace_paths(network, image, 2, report=lambda *numbers: reports.append(numbers))
    assert reports
    assert [count for count, _ in reports] == sorted({count for count, _ in reports})
    assert all(0 < count <= total <= MOST for count, total in reports)


@pytest.mark.parametrize(
    ("target", "options", "error", "message"),
    [
        (5, {}, AttributionError, r"^There is no class 5: this network has 0 to 4\. Choose"),
        (Target(1, 1), {}, AttributionError, r"does not differ from itself\. Choose"),
        (
            1,
            {"baseline": "red"},
            AttributionError,
            r"^There is no baseline 'red'\. Choose one of: mean",
        ),
        (
            1,
            {"n_steps": 0},
            AttributionError,
            r"^The way through the gates cannot run with n_steps=0\. Choose 1 or",
        ),
        (
            1,
            {"n_steps": 10**9},
            AttributionError,
            r"^The way through the gates can take 2,000 steps at most, not 1,0",
        ),
        (
            1,
            {"sets": {"none": ["layer9"]}},
            NoSEBlocksError,
            r"^There is no SE block 'layer9'\. Choose among: layer1",
        ),
        (
            1,
            {"baseline": torch.full((1, 3, 64, 64), torch.nan)},
            AttributionError,
            r"the logit is NaN or infinite\. Choose",
        ),
    ],
)
def test_what_cannot_be_traced_is_said(network, image, target, options, error, message):
    """Each refusal names the value and ends in what to do."""
    with pytest.raises(error, match=message):
        trace_paths(network, image, target, **options)
