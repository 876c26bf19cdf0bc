import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from se_viz import GateRecord, capture_gates, gate_jacobian, open_gate
from se_viz.errors import ExcitationError
from tests.support.hand_written import ECA, FUNCTIONS, IMAGES, C, Plain, variant

# Twenty roundings of float32 at the size of these values; the expected ones are in double
# precision.
NEAR = 1e-5
CLOSE = 2e-6


def around(block: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, C, 3, 2, 1), block, nn.Conv2d(C, 4, 1)).eval()


def capture(model: nn.Module, images: Tensor) -> list[GateRecord]:
    with torch.no_grad(), capture_gates(model) as records:
        model(images)
    return records


@pytest.mark.parametrize(
    ("name", "sigma"),
    [("torch.sigmoid", "Sigmoid"), ("by hand", "ReLU6"), ("twice the sigmoid", "Sigmoid")],
)
def test_every_step_of_a_functional_block_is_the_formula(name: str, sigma: str, images: Tensor):
    """Layers and functions are read from the pass where no module makes the gate: by hand, in
    double precision.
    """
    function = FUNCTIONS[name][0]
    block = variant("Hand", function=lambda _, y: function(y))()
    model = around(block)
    (record,) = capture(model, images)
    excitation = open_gate(model, record, image=1)
    weights = [value.detach().double() for value in block.parameters()]
    hidden = F.relu(weights[0] @ record.squeeze[1].double() + weights[1])
    logit = weights[2] @ hidden + weights[3]
    expected = {"hidden": hidden, "logit": logit, "gate": function(logit.clone())}
    for field, values in expected.items():
        torch.testing.assert_close(
            getattr(excitation, field).double(), values, rtol=NEAR, atol=CLOSE
        )
    assert (excitation.delta, excitation.sigma, excitation.exact) == ("ReLU", sigma, True)


@pytest.mark.parametrize("name", ["Plain", "ECA", "channels last", "twice the sigmoid"])
def test_a_jacobian_goes_through_functions(name: str, images: Tensor):
    """Each entry is the derivative of the block's own excitation, written down again."""
    double = variant("Twice", function=lambda _, y: 2 * y.sigmoid())
    kinds = {"Plain": Plain, "ECA": ECA, "twice the sigmoid": double}
    block = (kinds | IMAGES)[name]()
    model = around(block)
    (record,) = capture(model, images)
    jacobian = gate_jacobian(model, record)

    def excitation(z: Tensor) -> Tensor:
        if isinstance(block, Plain):
            return block.function(block.excite(z[None]))[0]
        if isinstance(block, ECA):
            return block.conv(z[None, None])[0, 0].sigmoid()
        return block.get_submodule("fc")(z[None])[0].sigmoid()

    expected = torch.autograd.functional.jacobian(excitation, record.squeeze[0])
    torch.testing.assert_close(jacobian, expected)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (IMAGES["mean and maximum"], "mean and maximum, of which a record holds one"),
        (ECA, "not by the paper's layer, function, layer and function"),
    ],
)
def test_what_cannot_be_opened_is_told_in_a_sentence(
    block: type[nn.Module], words: str, images: Tensor
):
    """A reader learns what can still be seen, and no traceback."""
    model = around(block())
    (record,) = capture(model, images)
    with pytest.raises(ExcitationError, match=rf"{words}.*choose another block\."):
        open_gate(model, record)


def test_an_excitation_of_one_layer_is_told_by_its_functions(images: Tensor):
    """ECA has one layer, so that no hidden unit stands between."""
    model = around(ECA())
    (record,) = capture(model, images)
    with pytest.raises(ExcitationError, match=r"by conv1d, .*Sigmoid, not by the paper's layer"):
        open_gate(model, record)
