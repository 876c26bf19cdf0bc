"""The swift copy answers as the model does, knows of nothing it cannot know of, and is gone after
the call.
"""

import copy
import gc
from collections.abc import Callable
from weakref import ref

import captum.attr
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from se_viz.attribution.passes.folded import TOLERANCE, swift_copy
from se_viz.attribution.pixels.run import attribute
from se_viz.gates import capture_gates, edit_gates, find_gates
from se_viz.gates.surgery import compile_edits, set_gates
from se_viz.networks import Network

pytestmark = pytest.mark.slow

BLOCK = "layer2.1.bn3.1"


@pytest.fixture
def swift(network: Network, image: Tensor) -> nn.Module:
    return swift_copy(network.model, image)


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@torch.no_grad()
def difference(model: nn.Module, reference: nn.Module, images: Tensor) -> float:
    expected = reference(images)
    return ((model(images) - expected).abs().max() / expected.abs().max()).item()


def test_it_answers_as_the_model_without_its_norms(network, swift, images):
    """Each norm of a ResNet follows a convolution; the answer is the model's also to an image it
    did not prove.
    """
    assert swift is not network.model
    # Three in each of 16 units, one in the stem, and three where the way past a unit changes its
    # width.
    assert (norms(network.model), norms(swift)) == (52, 0)
    assert difference(swift, network.model, images) <= TOLERANCE
    assert not any(value.requires_grad for value in swift.parameters())


def test_its_gates_are_the_models(network, swift, images):
    """Blocks keep their class and path, so that captures and edits of the copy are those of the
    model.
    """
    assert find_gates(swift, size=64) == find_gates(network.model, size=64)
    with torch.no_grad(), capture_gates(swift) as records:
        swift(images)
    with torch.no_grad(), capture_gates(network.model) as expected:
        network.model(images)
    for record, reference in zip(records, expected, strict=True):
        assert record.block == reference.block
        # Gates are between 0 and 1, and rounded as logits are.
        torch.testing.assert_close(record.gate, reference.gate, rtol=0, atol=TOLERANCE)


def test_the_model_keeps_its_own_modules(network, image):
    """Nothing is folded in the model that everybody shares."""
    before = dict(network.model.named_modules())
    weights = copy.deepcopy(network.model.state_dict())
    swift_copy(network.model, image)
    assert dict(network.model.named_modules()) == before
    assert all(
        torch.equal(value, weights[name]) for name, value in network.model.state_dict().items()
    )


@torch.no_grad()
def write(model: nn.Module) -> None:
    next(model.parameters()).mul_(2)


@torch.no_grad()
def write_buffer(model: nn.Module) -> None:
    next(model.buffers()).add_(1)


def replace(model: nn.Module) -> None:
    layer = model.get_submodule("fc")
    layer.weight = nn.Parameter(2 * layer.get_parameter("weight").detach(), requires_grad=False)


def load(model: nn.Module) -> None:
    model.load_state_dict({name: 1.1 * value for name, value in model.state_dict().items()})


def exchange(model: nn.Module) -> None:
    model.set_submodule("layer4.0.relu", nn.Identity())


@pytest.mark.parametrize("change", [write, write_buffer, replace, load, exchange])
def test_a_changed_model_is_folded_anew(network, image, change: Callable[[nn.Module], None]):
    """Who goes on training, shuffles weights or exchanges a layer gets maps of the model as it is
    now.
    """
    attribute(network, image, 1, "integrated_gradients")
    change(network.model)
    expected = (
        captum.attr.IntegratedGradients(network.model)
        .attribute(image, target=1, n_steps=32)[0]
        .sum(0)
    )
    heat = attribute(network, image, 1, "integrated_gradients").map
    torch.testing.assert_close(
        heat, expected.float(), rtol=0, atol=1e-3 * expected.abs().max().item()
    )


def test_it_is_of_one_call(network, swift, image):
    """Nothing tells when a model changes: who asks again gets another one, and nobody holds the
    first.
    """
    assert swift_copy(network.model, image) is not swift
    alone = ref(swift_copy(network.model, image))
    gc.collect()
    assert alone() is None


def test_it_reads_the_models_own_weights(network, swift):
    """Only what is folded is made anew: layers without a norm take no memory a second time."""
    folded = swift.get_parameter("fc.weight")
    own = network.model.get_parameter("fc.weight")
    assert folded.data_ptr() == own.data_ptr()
    assert (
        swift.get_parameter("conv1.weight").data_ptr()
        != network.model.get_parameter("conv1.weight").data_ptr()
    )


def test_a_copy_that_would_run_the_model_is_not_used(network, image):
    """A forward that is a function of Python's calls what it holds: gates that are edited on the
    copy would be live.
    """
    before = network.model.forward
    network.model.forward = lambda images: 3 * before(images)
    assert swift_copy(network.model, image) is network.model


def test_edits_and_captures_are_never_bypassed(network, image):
    """The copy does not hear of them: inside, the model itself runs."""
    changes = compile_edits([set_gates(BLOCK, 0.0)], network.inspection.sites)
    with edit_gates(network.model, changes):
        assert swift_copy(network.model, image) is network.model
        edited = attribute(network, image, 1, "occlusion").map
    with capture_gates(network.model):
        assert swift_copy(network.model, image) is network.model
    with network.model.layer1.register_forward_hook(lambda *_: None):
        assert swift_copy(network.model, image) is network.model
    assert not torch.allclose(edited, attribute(network, image, 1, "occlusion").map, rtol=0.1)


def test_a_model_in_training_runs_itself(network, image):
    """Its norms follow the batch, so that nothing can be folded."""
    network.model.layer3.train()
    assert swift_copy(network.model, image) is network.model


class Net(nn.Module):
    """A convolution, its norm, and what a test makes of both."""

    def __init__(self, join: Callable[..., Tensor], norm: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = norm or nn.BatchNorm2d(4)
        self.join = join
        if isinstance(self.norm, nn.BatchNorm2d):
            assert self.norm.running_mean is not None
            nn.init.normal_(self.norm.running_mean)
            nn.init.uniform_(self.norm.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit a channel."""
        return self.join(self, images).mean((2, 3))


def plainly(net: Net, images: Tensor) -> Tensor:
    return net.norm(net.conv(images))


def past(net: Net, images: Tensor) -> Tensor:
    features = net.conv(images)
    return F.relu(net.norm(features)) + features


def twice(net: Net, images: Tensor) -> Tensor:
    return net.norm(net.conv(images)) * net.norm(net.conv(2 * images))


def failing(net: Net, images: Tensor) -> Tensor:
    return net.norm(net.conv(images)) * (
        1.0 if isinstance(net.norm, nn.BatchNorm2d) else net.norm.momentum
    )


@pytest.mark.parametrize(
    ("net", "folds"),
    [
        (Net(plainly), True),
        (Net(past), False),
        (Net(twice), False),
        (Net(failing), False),
        (Net(plainly, nn.GroupNorm(2, 4)), False),
    ],
    ids=[
        "norm after convolution",
        "what the norm is given is used elsewhere",
        "used twice",
        "code wants the norm",
        "none",
    ],
)
def test_where_folding_is_not_right_the_model_itself_runs(net: Net, folds: bool, image):
    """What is folded is only found by looking; that the answer is the model's is what counts, and
    is compared.
    """
    net.eval()
    assert (swift_copy(net, image) is not net) == folds
