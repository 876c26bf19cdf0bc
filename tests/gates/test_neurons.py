from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small

from se_viz import capture_gates, edit_gates, find_gates
from se_viz.errors import CaptureError, NoSEBlocksError
from se_viz.gates.neurons import Neuron, read_neuron

FIRST = "layer1.0.bn3.1"
MIDDLE = "layer3.2.bn3.1"
LAST = "layer4.2.bn3.1"
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_always_called")


@contextmanager
def listening(module: nn.Module) -> Iterator[list[Tensor]]:
    """Keep what a module puts out, by a hook of the test's own."""
    outputs: list[Tensor] = []
    with module.register_forward_hook(lambda *call: outputs.append(call[2])):
        yield outputs


def count_hooks(model: nn.Module) -> int:
    return sum(len(getattr(module, name)) for module in model.modules() for name in HOOKS)


@pytest.mark.parametrize("path", [FIRST, MIDDLE, LAST])
def test_the_value_is_the_gate_that_the_block_multiplies_by(
    se_net: nn.Module, images: Tensor, path: str
):
    """A pass that ends early is the same pass so far: bit for bit what a whole one captures."""
    with torch.no_grad(), capture_gates(se_net) as records:
        se_net(images)
    expected = next(record.gate for record in records if record.block == path)[:, 3]
    assert torch.equal(read_neuron(se_net, images, Neuron(path, 3)).detach(), expected)


def test_the_logit_is_what_the_sigmoid_is_given(se_net: nn.Module, images: Tensor):
    """The second layer's output, as a hook of the test's own sees it in a whole pass."""
    with listening(se_net.get_submodule(f"{MIDDLE}.fc2")) as outputs:
        se_net(images)
    logit = read_neuron(se_net, images, Neuron(MIDDLE, 7, logit=True))
    assert torch.equal(logit, outputs[0][:, 7, 0, 0])


@pytest.mark.parametrize("logit", [False, True])
def test_its_gradient_is_that_of_a_whole_pass(se_net: nn.Module, images: Tensor, logit: bool):
    """What comes after the gate has no part in its derivative."""
    with listening(
        se_net.get_submodule(f"{MIDDLE}.{'fc2' if logit else 'scale_activation'}")
    ) as outputs:
        whole = images.clone().requires_grad_()
        se_net(whole)
    (expected,) = torch.autograd.grad(outputs[0][:, 7].sum(), whole)
    short = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        read_neuron(se_net, short, Neuron(MIDDLE, 7, logit)).sum(), short
    )
    assert expected.any()
    torch.testing.assert_close(gradient, expected)


def test_nothing_runs_after_the_gate(se_net: nn.Module, images: Tensor):
    """Maps of the first stages cost a part of a pass: neither the next block nor the classifier is
    called.
    """
    with (
        listening(se_net.get_submodule("layer3.3")) as later,
        listening(se_net.get_submodule("layer3.1")) as earlier,
    ):
        read_neuron(se_net, images, Neuron(MIDDLE, 0))
    assert (len(earlier), len(later)) == (1, 0)


@pytest.mark.parametrize(
    "neuron", [Neuron(MIDDLE, 0), Neuron(MIDDLE, 10_000), Neuron(f"{MIDDLE}#2", 0)]
)
def test_hooks_are_gone_afterwards(se_net: nn.Module, images: Tensor, neuron: Neuron):
    """Also where the pass ended in a refusal: the model serves other sessions."""
    try:
        read_neuron(se_net, images, neuron)
    except CaptureError:
        assert neuron != Neuron(MIDDLE, 0)
    assert count_hooks(se_net) == 0


def test_a_capture_after_it_sees_whole_passes(se_net: nn.Module, images: Tensor):
    """A pass that was cut short leaves no half-counted block behind."""
    read_neuron(se_net, images, Neuron(MIDDLE, 0))
    with capture_gates(se_net) as records:
        se_net(images)
    assert [record.name for record in records] == [
        site.name for site in find_gates(se_net, size=64)
    ]


def test_an_edit_of_an_earlier_block_is_felt(se_net: nn.Module, images: Tensor):
    """It is a pass like others, so that the question can be asked of an edited network."""
    with edit_gates(se_net, {FIRST: torch.zeros_like}), capture_gates(se_net) as records:
        se_net(images)
    with edit_gates(se_net, {FIRST: torch.zeros_like}):
        gate = read_neuron(se_net, images, Neuron(MIDDLE, 5))
    expected = next(record.gate for record in records if record.block == MIDDLE)[:, 5]
    assert torch.equal(gate.detach(), expected)
    assert not torch.equal(read_neuron(se_net, images, Neuron(MIDDLE, 5)), gate)


class Twice(nn.Module):
    """One block that is used twice in a pass, on maps that differ."""

    def __init__(self) -> None:
        super().__init__()
        self.se = timm.layers.SEModule(16, rd_ratio=0.5)  # pyright: ignore[reportPrivateImportUsage]

    def forward(self, images: Tensor) -> Tensor:
        """Use it on sixteen colours, and on their cosine."""
        once = self.se(images.repeat(1, 8, 1, 1)[:, :16])
        return self.se(once.cos()).mean((2, 3))


def test_a_second_use_has_a_value_of_its_own(images: Tensor):
    """`se#2` is the block's second use in a pass."""
    model = Twice().eval()
    with torch.no_grad(), capture_gates(model) as records:
        model(images)
    values = [read_neuron(model, images, Neuron(name, 2)).detach() for name in ("se", "se#2")]
    assert [
        torch.equal(value, record.gate[:, 2]) for value, record in zip(values, records, strict=True)
    ] == [True] * 2
    assert not torch.equal(*values)


@pytest.mark.parametrize(
    ("make", "function"),
    [
        (lambda: mobilenet_v3_small(weights=None), lambda logit: (logit / 6 + 0.5).clamp(0, 1)),
        (lambda: timm.create_model("ecaresnet26t"), torch.sigmoid),
        (lambda: timm.create_model("efficientnet_b0"), torch.sigmoid),
    ],
    ids=["hard sigmoid", "ECA", "timm"],
)
def test_other_spellings_have_values_and_logits(
    images: Tensor, make: Callable[[], nn.Module], function: Callable[[Tensor], Tensor]
):
    """The gate function, written out, turns the one into the other."""
    torch.manual_seed(0)
    model = make().eval()
    path = find_gates(model, size=64)[-1].block
    with torch.no_grad():
        gate = read_neuron(model, images, Neuron(path, 1))
        logit = read_neuron(model, images, Neuron(path, 1, logit=True))
    torch.testing.assert_close(gate, function(logit))


@pytest.mark.parametrize(
    ("neuron", "error", "message"),
    [
        (
            Neuron("layer9", 0),
            NoSEBlocksError,
            r"^There is no SE block 'layer9'\. Choose among: layer1\.0",
        ),
        (
            Neuron(f"{LAST}#2", 0),
            CaptureError,
            rf"^No pass uses {LAST}#2\. Choose a block among those",
        ),
        (
            Neuron(LAST, 512),
            CaptureError,
            rf"^{LAST} has no channel 512\. Choose one from 0 to 511\.$",
        ),
        (Neuron(LAST, -1), CaptureError, r"has no channel -1\. Choose"),
    ],
)
def test_what_does_not_exist_is_named(
    se_net: nn.Module, images: Tensor, neuron: Neuron, error: Any, message: str
):
    """Each refusal names the value and ends in what to do."""
    with pytest.raises(error, match=message):
        read_neuron(se_net, images, neuron)


def test_a_logit_that_was_written_over_is_refused(se_net: nn.Module, images: Tensor):
    """A function that works in place leaves the gate where its logit was: to show that would be
    wrong.
    """

    class Sigmoid(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return values.sigmoid_()

    se_net.set_submodule(f"{LAST}.scale_activation", Sigmoid())
    with (
        torch.no_grad(),
        pytest.raises(
            CaptureError,
            match=r"does not keep one value a channel before its gate function\. Choose the gate",
        ),
    ):
        read_neuron(se_net, images, Neuron(LAST, 0, logit=True))
