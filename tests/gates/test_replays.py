"""Excitations that are part of a longer forward, opened by calling their functions once more."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from se_viz import capture_gates, gate_jacobian, open_gate
from se_viz.errors import ExcitationError
from se_viz.gates.alone import excite, find_place
from tests.gates.test_alone import CLOSE, NEAR, around, capture
from tests.gates.test_hooks import count_hooks
from tests.support.hand_written import IMAGES, C, Inline, Plain


class Whole(nn.Module):
    """A network in one ``forward``: two uses of one pair of matrices, by functions alone."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.stem = nn.Conv2d(3, C, 3, stride=2, padding=1)
        self.down = nn.Parameter(torch.randn(4, C) * 0.4)
        self.up = nn.Parameter(torch.randn(C, 4) * 0.4)
        self.bias = nn.Parameter(torch.randn(C))
        self.head = nn.Linear(C, 5)

    def excite(self, z: Tensor) -> Tensor:
        """Return gates."""
        return F.hardsigmoid(F.linear(F.relu(F.linear(z, self.down)), self.up, self.bias))

    def forward(self, image: Tensor) -> Tensor:
        """Return logits."""
        x = self.stem(image).relu()
        x = x * self.excite(x.mean((2, 3)))[:, :, None, None]
        x = F.max_pool2d(x, 2)
        x = x * self.excite(x.mean((2, 3)))[:, :, None, None]
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("use", [0, 1])
def test_every_step_is_the_formula_in_each_use(use: int, images: Tensor):
    """By hand, in double precision, with the weights of the network."""
    model = Whole().eval()
    before = copy.deepcopy(model.state_dict())
    record = capture(model, images)[use]
    excitation = open_gate(model, record, image=1)
    down, up, bias = (value.detach().double() for value in (model.down, model.up, model.bias))
    hidden = F.relu(down @ record.squeeze[1].double())
    logit = up @ hidden + bias
    expected = {"hidden": hidden, "logit": logit, "gate": F.hardsigmoid(logit)}
    for field, values in expected.items():
        torch.testing.assert_close(
            getattr(excitation, field).double(), values, rtol=NEAR, atol=CLOSE
        )
    assert (excitation.delta, excitation.sigma, excitation.exact) == ("ReLU", "Hardsigmoid", True)
    assert torch.equal(excitation.reduce, model.down)
    assert torch.equal(excitation.expand, model.up)
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert count_hooks(model) == 0
    assert all(value.requires_grad for value in model.parameters())


@pytest.mark.parametrize("make", [Whole, lambda: around(Inline())], ids=["whole", "inline"])
def test_gates_of_one_image_are_its_own_bit_for_bit(make, image: Tensor):
    """The same functions of the same values: what is opened is what was computed."""
    model = make().eval()
    for record in capture(model, image):
        with torch.no_grad():
            gates = excite(model, record, find_place(model, record), record.squeeze)
        assert torch.equal(gates, record.gate)


def test_an_excitation_inside_of_a_residual_block_is_opened(images: Tensor):
    """As timm and many others write it: pooled, made and multiplied between convolutions."""
    block = Inline()
    model = around(block)
    (record,) = capture(model, images)
    excitation = open_gate(model, record)
    hidden = F.silu(block._se_reduce(record.squeeze[:1, :, None, None])).flatten()
    torch.testing.assert_close(excitation.hidden, hidden.detach(), rtol=NEAR, atol=CLOSE)
    torch.testing.assert_close(excitation.gate, record.gate[0], rtol=NEAR, atol=CLOSE)
    assert excitation.exact


def test_a_block_that_multiplies_in_place_is_opened(images: Tensor):
    """A residual block whose own branch is overwritten by the product."""
    block = IMAGES["residual"]()
    assert isinstance(block, Plain)
    model = around(block)
    (record,) = capture(model, images)
    excitation = open_gate(model, record, image=1)
    expected = torch.sigmoid(block.excite(record.squeeze[1])).detach()
    torch.testing.assert_close(excitation.gate, expected, rtol=NEAR, atol=CLOSE)
    assert excitation.exact


class Biased(Whole):
    """Adds what its layers lack: a bias each, as Keras writes them into an ONNX file."""

    def excite(self, z: Tensor) -> Tensor:
        """Return gates."""
        hidden = F.relu(
            F.conv2d(z[..., None, None], self.down[..., None, None]) + self.get_buffer("added")
        )
        return torch.sigmoid(F.conv2d(hidden, self.up[..., None, None]) + self.bias[:, None, None])[
            ..., 0, 0
        ]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("added", torch.randn(1, 4, 1, 1))


def test_a_bias_that_is_added_is_the_bias_of_its_layer(images: Tensor):
    """The formula's b1 and b2, wherever they are added."""
    model = Biased().eval()
    record = capture(model, images)[0]
    excitation = open_gate(model, record)
    assert torch.equal(excitation.reduce_bias, model.get_buffer("added").flatten())
    assert torch.equal(excitation.expand_bias, model.bias)
    before = model.down @ record.squeeze[0] + model.get_buffer("added").flatten()
    torch.testing.assert_close(excitation.before, before.detach(), rtol=NEAR, atol=CLOSE)
    assert (excitation.delta, excitation.sigma, excitation.exact) == ("ReLU", "Sigmoid", True)


def test_a_jacobian_goes_through_a_longer_forward(images: Tensor):
    """Each entry is the derivative of the excitation, written down again."""
    block = Inline()
    model = around(block)
    (record,) = capture(model, images)

    def excitation(z: Tensor) -> Tensor:
        hidden = F.silu(block._se_reduce(z[None, :, None, None]))
        return torch.sigmoid(block._se_expand(hidden)).flatten()

    expected = torch.autograd.functional.jacobian(excitation, record.squeeze[0])
    torch.testing.assert_close(gate_jacobian(model, record), expected)


class Shifted(Whole):
    """Its gates also depend on how large the image is, by a number."""

    def excite(self, z: Tensor) -> Tensor:
        """Return gates."""
        return torch.sigmoid(super().excite(z) + z.abs().max().item())


class Masked(Inline):
    """Takes a mask beside the map, so that a pass of noise cannot be made up."""

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:  # pyright: ignore
        """Return a map."""
        return super().forward(inputs * mask)


def test_where_functions_do_not_tell_the_sentence_stays(images: Tensor):
    """A formula that is almost right would be worse than none."""
    model = Shifted().eval()
    record = capture(model, images)[0]
    with pytest.raises(ExcitationError, match=r"longer forward.*choose another block\."):
        open_gate(model, record)
    masked = Masked().eval()
    inputs = torch.randn(2, C, 8, 8)
    with torch.no_grad(), capture_gates(masked) as records:
        masked(inputs, torch.ones(8, 8))
    with pytest.raises(ExcitationError, match=r"longer forward.*choose another block\."):
        open_gate(masked, records[0])
