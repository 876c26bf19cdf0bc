import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import numpy as np
import pytest
import torch
from timm.layers.eca import EcaModule
from timm.layers.global_context import GlobalContext
from timm.layers.squeeze_excite import EffectiveSEModule, SEModule, SqueezeExciteCl
from timm.models._efficientnet_blocks import SqueezeExcite
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz import GateRecord, capture_gates, edit_gates, open_gate
from se_viz.errors import ExcitationError

BLOCK = "layer3.2.bn3.1"

# Twenty roundings of float32 at the size of these values; the expected ones are in double
# precision.
NEAR = 1e-5
CLOSE = 2e-6


def capture(model: nn.Module, images: Tensor) -> list[GateRecord]:
    with torch.no_grad(), capture_gates(model) as records:
        model(images)
    return records


def record_of(model: nn.Module, images: Tensor, block: str = BLOCK) -> GateRecord:
    return next(record for record in capture(model, images) if record.block == block)


def by_hand(block: nn.Module, squeeze: Tensor) -> dict[str, np.ndarray]:
    """Return a, h, the logits and s of torchvision's block, by NumPy in double precision (arXiv
    1709.01507, eq. 3).
    """
    w1, b1, w2, b2 = (value.detach().double().numpy().squeeze() for value in block.parameters())
    before = w1 @ squeeze.double().numpy() + b1
    hidden = np.maximum(before, 0)
    logit = w2 @ hidden + b2
    return {"before": before, "hidden": hidden, "logit": logit, "gate": 1 / (1 + np.exp(-logit))}


@pytest.mark.parametrize("image", [0, 1])
def test_every_step_is_the_papers_formula(se_net: nn.Module, images: Tensor, image: int):
    """s = sigma(W2 delta(W1 z + b1) + b2), computed by another library for each image of a
    batch.
    """
    record = record_of(se_net, images)
    excitation = open_gate(se_net, record, image=image)
    expected = by_hand(se_net.get_submodule(BLOCK), record.squeeze[image])
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(excitation, name).numpy(), values, rtol=NEAR, atol=CLOSE)
    assert torch.equal(excitation.squeeze, record.squeeze[image])
    assert torch.equal(excitation.on, torch.from_numpy(expected["hidden"] > 0))
    assert (excitation.delta, excitation.sigma) == ("ReLU", "Sigmoid")


def test_the_errors_are_the_distances_from_what_the_block_computed(
    se_net: nn.Module, images: Tensor
):
    """Hooks of the test's own read what the layers put out for the same image; the largest
    difference is told.
    """
    record = record_of(se_net, images[:1])
    block = se_net.get_submodule(BLOCK)
    outputs: list[Tensor] = []
    for name in ("activation", "fc2", "scale_activation"):
        block.get_submodule(name).register_forward_hook(
            lambda *call: outputs.append(call[2].double().flatten())
        )
    with torch.no_grad():
        block(record.squeeze[:, :, None, None])
    expected = by_hand(block, record.squeeze[0])
    pairs = zip(("hidden", "logit", "gate"), outputs, strict=True)
    distances = [np.abs(output.numpy() - expected[name]).max() for name, output in pairs]
    excitation = open_gate(se_net, record)
    # Both are sums of roundings of double precision around the same difference.
    assert [excitation.hidden_error, excitation.logit_error] == pytest.approx(
        distances[:2], rel=1e-6
    )
    assert excitation.gate_error == pytest.approx(
        np.abs(record.gate[0].numpy() - expected["gate"]).max(), rel=1e-6
    )
    assert 0 < excitation.gate_error < 1e-6


def test_terms_and_bias_sum_to_the_logit(se_net: nn.Module, images: Tensor):
    """The bars of the picture are all there is: for every channel nothing is left over."""
    excitation = open_gate(se_net, record_of(se_net, images))
    for channel in range(len(excitation.logit)):
        units, values = excitation.terms(channel)
        assert sorted(units.tolist()) == list(range(len(excitation.hidden)))
        assert (values.abs().diff() <= 0).all()
        total = values.double().sum() + excitation.expand_bias[channel]
        assert total.item() == pytest.approx(excitation.logit[channel].item(), rel=NEAR, abs=CLOSE)


def test_a_term_is_weight_times_hidden_unit(se_net: nn.Module, images: Tensor):
    """w2_ck * h_k, read from the block's own second layer."""
    excitation = open_gate(se_net, record_of(se_net, images))
    units, values = excitation.terms(7)
    weights = se_net.get_parameter(f"{BLOCK}.fc2.weight")[7].detach().flatten()
    assert torch.equal(values, weights[units] * excitation.hidden[units])


class Linears(nn.Module):
    """An SE block as many repositories write it: two linear layers without bias."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        up = nn.Linear(hidden, channels, bias=False)
        down = nn.Linear(channels, hidden, bias=False)
        self.fc = nn.Sequential(down, nn.ReLU(inplace=True), up, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel."""
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class SELayer(Linears):
    """The name that the table of spellings knows."""


class Last(nn.Module):
    """Channels last around a block, as ConvNeXt-like networks run it."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel."""
        return self.block(x.movedim(1, -1)).movedim(-1, 1)


FORMS: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "torchvision": (lambda: SqueezeExcitation(16, 4), "ReLU", "Sigmoid"),
    "hard": (lambda: SqueezeExcitation(16, 4, nn.SiLU, nn.Hardsigmoid), "SiLU", "Hardsigmoid"),
    "timm": (lambda: SEModule(16, rd_channels=4), "ReLU", "Sigmoid"),
    "efficientnet": (
        lambda: SqueezeExcite(16, rd_ratio=0.25, act_layer=nn.SiLU),
        "SiLU",
        "Sigmoid",
    ),
    "last": (lambda: Last(SqueezeExciteCl(16, rd_channels=4)), "ReLU", "Sigmoid"),
    "linear": (lambda: SELayer(16, 4), "ReLU", "Sigmoid"),
}


def model_with(make: Callable[[], nn.Module], *, seed: int = 3, width: int = 16) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), make()).eval()


@pytest.mark.parametrize("form", FORMS)
def test_every_spelling_with_two_layers_opens(form: str, images: Tensor):
    """Squeezing, layers and functions have other names and shapes in each library; the gates are
    the captured ones.
    """
    make, delta, sigma = FORMS[form]
    model = model_with(make)
    (record,) = capture(model, images)
    excitation = open_gate(model, record)
    assert (excitation.delta, excitation.sigma) == (delta, sigma)
    assert (excitation.reduce.shape, excitation.expand.shape) == ((4, 16), (16, 4))
    np.testing.assert_allclose(
        excitation.gate.numpy(), record.gate[0].numpy(), rtol=NEAR, atol=CLOSE
    )
    assert excitation.gate_error < 1e-6


OTHER_FORMS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "norm": (
        lambda: SEModule(16, rd_channels=4, norm_layer=nn.BatchNorm2d),
        "Conv2d, BatchNorm2d, ReLU, Conv2d",
    ),
    "one layer": (lambda: EffectiveSEModule(16), "by Conv2d, "),
    "neighbours": (lambda: EcaModule(16), "by Conv1d, "),
    "context": (lambda: GlobalContext(16), "LayerNorm2d"),
}


class Functional(SEModule):
    """Calls its ReLU as a function, where no hook sees it."""

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel."""
        means = x.mean((2, 3), keepdim=True)
        assert self.gate is not None
        return x * self.gate(self.fc2(torch.relu(self.fc1(means))))


NEARLY: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "functional": (
        lambda: Functional(16, rd_channels=4),
        r"Conv2d, Conv2d, Sigmoid.*no module runs.*\(F\.relu\)",
    ),
    "learned": (
        lambda: SEModule(16, rd_channels=4, act_layer=nn.PReLU),
        "Conv2d, PReLU, Conv2d.*PReLU has weights",
    ),
}


@pytest.mark.parametrize("form", NEARLY)
def test_what_keeps_two_layers_from_being_opened_is_said(form: str, images: Tensor):
    """Such a block looks like the paper's to its author, who would take "another form" for an
    error.
    """
    make, words = NEARLY[form]
    model = model_with(make)
    (record,) = capture(model, images)
    with pytest.raises(ExcitationError, match=words):
        open_gate(model, record)


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_another_form_is_named_and_not_computed(form: str, images: Tensor):
    """Where anything but layer, function, layer, function runs, the paper's formula would be wrong
    arithmetic.
    """
    make, runs = OTHER_FORMS[form]
    model = model_with(make)
    (record,) = capture(model, images)
    with pytest.raises(
        ExcitationError, match=f"{runs}.*not by the paper's layer, function, layer and function"
    ):
        open_gate(model, record)


class SEBlock(Linears):
    """A block that doubles its logits outside any module, where no hook sees it."""

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel."""
        return x * self.fc[3](2 * self.fc[:3](x.mean((2, 3))))[:, :, None, None]


def test_arithmetic_between_the_modules_is_found_out_by_the_error(images: Tensor):
    """The modules are the paper's, the gates are not theirs: only comparing the numbers can
    tell.
    """
    model = model_with(lambda: SEBlock(16, 4))
    nn.init.normal_(model.get_parameter("1.fc.2.weight"))
    (record,) = capture(model, images)
    with pytest.raises(ExcitationError, match="these alone do not make its gates"):
        open_gate(model, record)


class Scaled(Linears):
    """A block that multiplies its logits by a factor outside any module."""

    def __init__(self, channels: int, hidden: int, factor: float) -> None:
        super().__init__(channels, hidden)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel."""
        return x * self.fc[3](self.factor * self.fc[:3](x.mean((2, 3))))[:, :, None, None]


# The table of spellings goes by the name.
Scaled.__name__ = Scaled.__qualname__ = "SEBlock"


@pytest.mark.parametrize(
    ("factor", "exact"), [(1.0, True), (1.001, False), (0.999, False), (1.06, False)]
)
def test_a_hidden_factor_is_not_called_rounding(images: Tensor, factor: float, exact: bool):
    """A thousandth of a logit is a thousand times what float32 rounds: over 20 draws of weights,
    no wrong word.
    """
    for seed in range(20):
        model = model_with(lambda: Scaled(16, 4, factor), seed=seed)
        # Some hidden unit is on: a factor of logits that are all 0 would change nothing.
        nn.init.normal_(
            model.get_parameter("1.fc.0.weight"), generator=torch.Generator().manual_seed(seed)
        )
        (record,) = capture(model, images)
        excitation = open_gate(model, record)
        assert excitation.on.any()
        assert excitation.exact == exact
        assert excitation.gate_rounding < 1e-5


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
def test_rounding_is_called_rounding_in_every_precision(kind: torch.dtype, images: Tensor):
    """What a block of eight bits of mantissa rounds is far more than one of 24, and both are
    right.
    """
    for seed in range(10):
        model = model_with(lambda: SEModule(64, rd_channels=16), seed=seed, width=64).to(kind)
        (record,) = capture(model, images.to(kind))
        excitation = open_gate(model, record)
        assert excitation.exact
        assert excitation.gate_error <= excitation.gate_rounding


def test_a_record_of_edited_gates_is_refused(se_net: nn.Module, images: Tensor):
    """The block would make other gates of this squeeze: showing its arithmetic beside them would
    be wrong.
    """
    with edit_gates(se_net, {BLOCK: torch.zeros_like}):
        record = record_of(se_net, images)
    with pytest.raises(
        ExcitationError, match=r"holds other gates than the block makes .* without edits"
    ):
        open_gate(se_net, record)


def test_captures_and_edits_of_the_caller_see_nothing(se_net: nn.Module, images: Tensor):
    """Opening runs the block once more, which is no pass of the model: inside a capture it must
    leave no record.
    """
    record = record_of(se_net, images)
    plain = open_gate(se_net, record)
    with edit_gates(se_net, {BLOCK: torch.zeros_like}), capture_gates(se_net) as records:
        inside = open_gate(se_net, record)
    assert records == []
    assert torch.equal(inside.gate, plain.gate)


def test_the_model_is_left_as_it_was(se_net: nn.Module, images: Tensor):
    """Weights, modes, gradients and hooks: also a model in training, whose norms would learn from
    a pass.
    """
    record = record_of(se_net, images)
    se_net.train()
    before = deepcopy(se_net.state_dict())
    modes = [module.training for module in se_net.modules()]
    open_gate(se_net, record)
    assert all(torch.equal(value, before[name]) for name, value in se_net.state_dict().items())
    assert [module.training for module in se_net.modules()] == modes
    assert all(value.grad is None and value.requires_grad for value in se_net.parameters())
    assert not any(
        module._forward_hooks or module._forward_pre_hooks for module in se_net.modules()
    )


def test_threads_open_gates_of_one_model_at_once(se_net: nn.Module, images: Tensor):
    """Hooks are shared and what they tell is not: each thread gets, to the bit, what it gets
    alone.
    """
    records = [record for record in capture(se_net, images) if record.stage == 4]
    alone = [open_gate(se_net, record) for record in records]
    start = threading.Barrier(len(records))

    def work(record: GateRecord) -> list[Tensor]:
        start.wait(60)
        return [open_gate(se_net, record).logit for _ in range(20)]

    with ThreadPoolExecutor(len(records)) as pool:
        for excitation, logits in zip(alone, pool.map(work, records), strict=True):
            assert all(torch.equal(logit, excitation.logit) for logit in logits)
