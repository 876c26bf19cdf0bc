"""One number a gate equals Captum's own layer methods on the module that makes the gate."""

from collections.abc import Callable

import captum.attr
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.gates.run import GATE_METHODS, attribute_gates
from se_viz.attribution.paths.trace import trace_paths
from se_viz.attribution.question.targets import Target
from se_viz.errors import AttributionError, NoSEBlocksError
from se_viz.gates import capture_gates, edit_gates
from se_viz.networks import Network
from tests.support.passes import batches, uploading
from tests.support.reused import TwiceApart

pytestmark = pytest.mark.slow

MIDDLE = "layer3.0.bn3.1"
LAST = "layer4.0.bn3.1"


@pytest.fixture
def network(shallow: Network) -> Network:
    """What a method makes of one gate does not depend on how many blocks there are."""
    return shallow


def gate_module(network: Network, block: str) -> nn.Module:
    """Return the sigmoid whose output is the gate, by its name in torchvision."""
    return network.model.get_submodule(f"{block}.scale_activation")


def direct(network: Network, block: str, algorithm: str) -> Callable[..., Tensor]:
    """Return Captum's own call, with its own hooks on the gate's module."""
    return getattr(captum.attr, algorithm)(network.model, gate_module(network, block)).attribute


def assert_same(values: Tensor, expected: Tensor, within: float = 1e-4) -> None:
    """Compare on the scale of the greatest value: other batch sizes add in another order."""
    expected = expected.detach().flatten()
    assert values.shape == expected.shape
    torch.testing.assert_close(values, expected, rtol=0, atol=within * expected.abs().max().item())


@pytest.mark.parametrize("block", [MIDDLE, LAST])
def test_gradient_x_gate_is_captums_gradient_x_activation(
    network: Network, image: Tensor, block: str
):
    """Of the sigmoid's output."""
    expected = direct(network, block, "LayerGradientXActivation")(image.requires_grad_(), target=2)
    assert_same(attribute_gates(network, image, 2, "gradient_x_gate", block=block).values, expected)


@pytest.mark.parametrize("block", [MIDDLE, LAST])
def test_ablation_is_captums_of_the_layer(network: Network, image: Tensor, block: str):
    """One output of the sigmoid after another is 0."""
    with torch.no_grad():
        expected = direct(network, block, "LayerFeatureAblation")(
            image, layer_baselines=0.0, target=2
        )
    assert_same(attribute_gates(network, image, 2, "ablation", block=block).values, expected)


def test_integrated_gradients_are_captums_of_the_layer(network: Network, image: Tensor):
    """Between the gates of the two images; what Captum calls the delta is the steps' error less
    what bypasses gates.
    """
    ask = direct(network, MIDDLE, "LayerIntegratedGradients")
    expected, delta = ask(image, target=2, n_steps=32, return_convergence_delta=True)
    attribution = attribute_gates(network, image, 2, "integrated_gradients", block=MIDDLE)
    assert_same(attribution.values, expected)
    assert attribution.bypass is not None
    assert attribution.error is not None
    assert attribution.error - attribution.bypass == pytest.approx(delta.item(), abs=1e-5)
    assert abs(delta.item()) > 1e-4


class Steep(nn.Module):
    """A logit for each channel that jumps while its gate moves, so that 32 steps miss the
    integral.
    """

    def __init__(self) -> None:
        super().__init__()
        self.se = SqueezeExcitation(3, 3)
        for name, value in (("fc1.weight", 2.0), ("fc2.weight", 1.0), ("fc2.bias", -2.0)):
            nn.init.constant_(self.se.get_parameter(name), value)

    def forward(self, images: Tensor) -> Tensor:
        """Return a steep function of each channel's mean behind the gate."""
        # Not the sigmoid alone, which would be probabilities.
        return 1 + (200 * (self.se(images).mean((2, 3)) - 0.5)).sigmoid()


def test_what_bypasses_gates_is_known_apart_from_the_error_of_the_steps():
    """Without any step: the logit of the image with the baseline's gates, less that of the
    baseline.
    """
    network = Network.from_model(Steep().requires_grad_(False), input_size=16)
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) + 0.5
    start = torch.zeros_like(image)
    with torch.no_grad():
        with capture_gates(network.model) as records:
            before = network.model(start)[0, 1].item()
        after = network.model(image)[0, 1].item()
        with edit_gates(network.model, {"se": lambda gates: records[0].gate.view_as(gates)}):
            middle = network.model(image)[0, 1].item()
    attribution = attribute_gates(network, image, 1, "integrated_gradients", block="se")
    assert attribution.bypass == pytest.approx(middle - before, abs=1e-6)
    assert attribution.error == pytest.approx(
        attribution.values.sum().item() - (after - middle), abs=1e-6
    )
    # The jump is missed by more than a tenth, which would be called a bypass if both were one
    # number.
    assert abs(attribution.error or 0.0) > 0.1 * (after - middle)


@pytest.mark.parametrize("method", ["conductance", "internal_influence"])
def test_the_error_on_the_images_way_is_that_of_its_trace(
    network: Network, image: Tensor, method: str
):
    """Both parts are integrated by themselves there, and miss the rise by what the trace says."""
    flow = trace_paths(network, image, 2, sets={MIDDLE: [MIDDLE]}).flows[MIDDLE]
    attribution = attribute_gates(network, image, 2, method, block=MIDDLE)
    assert (attribution.bypass, attribution.error) == (flow.bypass, flow.error)


@pytest.mark.parametrize("method", ["gradient_x_gate", "ablation"])
def test_methods_that_speak_of_no_rise_have_no_error_of_it(
    network: Network, image: Tensor, method: str
):
    """What promises no sum can miss none."""
    attribution = attribute_gates(network, image, 2, method, block=LAST)
    assert (attribution.bypass, attribution.error) == (None, None)


@pytest.mark.parametrize(
    ("method", "algorithm"),
    [("conductance", "LayerConductance"), ("internal_influence", "InternalInfluence")],
)
def test_methods_on_the_images_way_are_captums(
    network: Network, image: Tensor, method: str, algorithm: str
):
    """Many steps there, few where they tell here."""
    expected = direct(network, MIDDLE, algorithm)(
        image, target=2, n_steps=256, internal_batch_size=32
    )
    # Two rules for a function with kinks.
    assert_same(
        attribute_gates(network, image, 2, method, block=MIDDLE).values, expected, within=0.05
    )


def test_ablation_is_an_edited_gate(network: Network, image: Tensor):
    """The logit with the gate, minus the logit with 0 in its place."""
    values = attribute_gates(network, image, Target(2, 0), "ablation", block=LAST).values
    with torch.no_grad():
        live = network.model(image)[0]
        for channel in (0, 5, 127):
            shut = {LAST: lambda gates, c=channel: gates.index_fill(1, torch.tensor([c]), 0)}
            with edit_gates(network.model, shut):
                falls = live - network.model(image)[0]
            assert values[channel].item() == pytest.approx((falls[2] - falls[0]).item(), abs=1e-5)


def test_gradient_x_gate_is_the_summed_gradient_x_activation_of_the_block(
    network: Network, image: Tensor
):
    """X~ = s U, so s dL/ds = sum(X~ dL/dX~): Captum's method on the block itself, summed over
    places.
    """
    layer = captum.attr.LayerGradientXActivation(network.model, network.model.get_submodule(MIDDLE))
    expected = layer.attribute(image.requires_grad_(), target=2)
    assert isinstance(expected, Tensor)
    assert_same(
        attribute_gates(network, image, 2, "gradient_x_gate", block=MIDDLE).values,
        expected.sum((2, 3)),
    )


def test_grad_cam_at_a_gate_leaves_one_number_for_all_channels(network: Network, image: Tensor):
    """The reason that is given, tried out: Captum's map has one channel and one place, and the sum
    of them all.
    """
    values = direct(network, MIDDLE, "LayerGradCam")(image.clone().requires_grad_(), target=2)
    assert values.shape == (1, 1, 1, 1)
    by_channel = attribute_gates(network, image, 2, "gradient_x_gate", block=MIDDLE).values
    assert values.item() == pytest.approx(by_channel.sum().item(), abs=1e-6)
    with pytest.raises(
        AttributionError, match=r"^Grad-CAM is not run at gates.*Choose Gradient x gate"
    ):
        attribute_gates(network, image, 2, "grad_cam", block=MIDDLE)


@pytest.mark.parametrize("method", ["gradient_x_gate", "ablation"])
def test_the_second_use_of_a_block_has_values_of_its_own(image: Tensor, method: str):
    """After the second use all is linear, s_c times its mean: both methods give that term of the
    logit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = TwiceApart()
    network = Network.from_model(model, input_size=64)
    with torch.no_grad():
        pooled = model.se(model.se(model.start(image)).tanh()).mean((2, 3))[0]
    values = attribute_gates(network, image, 3, method, block="se#2").values
    torch.testing.assert_close(values, pooled * model.end.weight[3].detach(), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(
        values, attribute_gates(network, image, 3, method, block="se").values, atol=1e-6
    )


@pytest.mark.parametrize("method", GATE_METHODS)
def test_an_upload_in_between_changes_neither(network: Network, image: Tensor, method: str):
    """A block of 2,048 channels is shut 2,048 times, and nobody should wait so long for one
    pass.
    """
    alone = attribute_gates(network, image, 1, method, block=LAST)
    with uploading(network) as uploads:
        attribution = attribute_gates(network, image, 1, method, block=LAST, watch=uploads.watch)
        uploads.expect_alike()
    assert torch.equal(attribution.values, alone.values)
    # Gradient x gate is a single slice.
    assert (len(uploads.running) > 1) == (method != "gradient_x_gate")


def test_where_memory_runs_out_fewer_gates_are_asked_at_once(network: Network, image: Tensor):
    """16 and 8 do not fit, 4 do: the values are those of a large memory."""
    expected = attribute_gates(network, image, 1, "ablation", block=LAST)
    with batches(network.model, most=4) as sizes:
        attribution = attribute_gates(network, image, 1, "ablation", block=LAST)
    assert sizes[-1] == 4
    assert_same(attribution.values, expected.values)


@pytest.mark.parametrize("method", GATE_METHODS)
def test_the_model_is_left_as_it_was(network: Network, image: Tensor, method: str):
    """No hook, no gradient; and a caller's inference mode does not matter."""
    with torch.inference_mode():
        attribution = attribute_gates(network, image.clone(), 2, method, block=LAST)
    assert attribution.values.shape == (128,)
    assert not attribution.values.requires_grad
    assert sum(len(module._forward_hooks) for module in network.model.modules()) == 0
    assert not any(
        value.requires_grad or value.grad is not None for value in network.model.parameters()
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((9, "ablation", LAST), AttributionError, r"^There is no class 9: .* Choose"),
        (
            (0, "occlusion", LAST),
            AttributionError,
            r"^No method 'occlusion' explains gates\. Choose one of: gradient",
        ),
        (
            (0, "ablation", "layer9"),
            NoSEBlocksError,
            r"^There is no SE block 'layer9'\. Choose among: layer1",
        ),
    ],
)
def test_what_cannot_be_asked_is_said(network: Network, image: Tensor, arguments, error, message):
    """Each refusal names the value and ends in what to do."""
    target, method, block = arguments
    with pytest.raises(error, match=message):
        attribute_gates(network, image, target, method, block=block)
