"""Each map of a gate equals Captum's own neuron attribution, and others may use the model meanwhile."""

from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn

from se_viz import capture_gates
from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.neuron_catalogue import NEURON_METHODS
from se_viz.attribution.neurons import attribute_neuron
from se_viz.errors import AttributionError, CaptureError, OvertakenError
from se_viz.gates.neurons import Neuron
from se_viz.networks import Network
from tests.passes import uploading

MIDDLE, LAST = "layer3.0.bn3.1", "layer4.0.bn3.1"
CHANNEL = 5


@pytest.fixture
def network(shallow: Network) -> Network:
    """What a method makes of one gate does not depend on how many blocks there are."""
    return shallow


def modules(network: Any, path: str) -> dict[bool, nn.Module]:
    """Return the modules whose outputs are the logit and the gate of torchvision's block."""
    block = network.model.get_submodule(path)
    return {True: block.fc2, False: block.scale_activation}


def assert_same(found: Tensor, expected: Tensor) -> None:
    """Compare maps on the scale of their greatest value: other batch sizes add in another order."""
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-4 * expected.abs().max().item())


@pytest.mark.parametrize("logit", [False, True])
@pytest.mark.parametrize("path", [MIDDLE, LAST])
def test_integrated_gradients_are_captums_of_the_neuron(network, image, path, logit):
    """Called directly, with its hook on the gate's module: the reader of a paper would do so."""
    direct = captum.attr.NeuronIntegratedGradients(network.model, modules(network, path)[logit])
    expected = direct.attribute(image, (CHANNEL, 0, 0), n_steps=32, internal_batch_size=8)
    found = attribute_neuron(network, image, Neuron(path, CHANNEL, logit))
    assert_same(found.map, expected[0].sum(0))
    assert found.map.abs().max() > 0


@pytest.mark.parametrize("logit", [False, True])
def test_the_fast_methods_are_captums_gradient_of_the_neuron(network, image, logit):
    """Saliency is its greatest magnitude over colours, the other its product with the input, summed."""
    direct = captum.attr.NeuronGradient(network.model, modules(network, LAST)[logit])
    slope = direct.attribute(image.clone().requires_grad_(), (CHANNEL, 0, 0))
    assert isinstance(slope, Tensor)
    neuron = Neuron(LAST, CHANNEL, logit)
    saliency = attribute_neuron(network, image, neuron, "saliency")
    assert_same(saliency.map, slope[0].abs().amax(0))
    assert not saliency.signed
    assert_same(attribute_neuron(network, image, neuron, "input_x_gradient").map, (slope * image)[0].sum(0))


@pytest.mark.parametrize("baseline", [0.0, -1.0])
def test_the_map_sums_to_the_rise_of_the_gate(network, image, baseline):
    """Completeness (arXiv 1703.01365, proposition 1): gate(image) - gate(baseline), up to the reported error."""
    with torch.no_grad(), capture_gates(network.model) as records:
        network.model(image)
        network.model(torch.full_like(image, baseline))
    after, before = [record.gate[0, CHANNEL].item() for record in records if record.block == LAST]
    found = attribute_neuron(network, image, Neuron(LAST, CHANNEL), baselines=baseline)
    assert found.value == after
    assert found.explained == pytest.approx(after - before, abs=1e-6)
    assert found.completeness_error == pytest.approx(abs(found.map.sum().item() - (after - before)), abs=1e-5)
    # 32 steps through a network with kinks.
    assert found.completeness_error is not None
    assert found.completeness_error < 0.1 * abs(after - before)


def test_a_method_that_promises_no_sum_reports_none(network, image):
    """A number there would be read as an error of a method that never promised one."""
    found = attribute_neuron(network, image, Neuron(LAST, CHANNEL), "saliency")
    assert (found.completeness_error, found.explained) == (None, None)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_callers_gradient_mode_does_not_matter(network, image, mode):
    """Pages and notebooks wrap whole scripts in inference mode."""
    expected = attribute_neuron(network, image, Neuron(LAST, CHANNEL), n_steps=4)
    with mode():
        found = attribute_neuron(network, image.clone(), Neuron(LAST, CHANNEL), n_steps=4)
    assert torch.equal(found.map, expected.map)


def test_others_run_in_between_and_change_nothing(network, image):
    """No hook is on the model between two slices: both get to the bit what each gets alone."""
    neuron = Neuron(MIDDLE, CHANNEL)
    alone = attribute_neuron(network, image, neuron)
    with uploading(network) as others:
        shared = attribute_neuron(network, image, neuron, watch=others.watch)
        others.expect_alike()
    assert torch.equal(shared.map, alone.map)
    assert len(others.hooks) >= 4
    assert not any(others.hooks)


def test_one_that_nobody_wants_stops_at_its_next_slice(network, image):
    """What the watch raises arrives as it was raised, and no hook stays."""
    looks = iter([None, None, OvertakenError("gone")])

    def watch(_: int) -> None:
        if error := next(looks):
            raise error

    with pytest.raises(OvertakenError, match=r"^gone$"):
        attribute_neuron(network, image, Neuron(LAST, 0), watch=watch)
    assert sum(len(module._forward_hooks) for module in network.model.modules()) == 0


@pytest.mark.parametrize(
    ("neuron", "method", "options", "error", "message"),
    [
        (
            Neuron(LAST, 0),
            "grad_cam",
            {},
            AttributionError,
            r"^Grad-CAM explains no gate here\. Choose one of: i",
        ),
        (
            Neuron(LAST, 0),
            "saliency",
            {"steps": 9},
            AttributionError,
            r"^Saliency cannot run with these options: .*steps",
        ),
        (Neuron(LAST, 9999), "saliency", {}, CaptureError, r"has no channel 9999\. Choose one from 0 to 127\.$"),
    ],
)
def test_what_cannot_be_explained_is_said(network, image, neuron, method, options, error, message):
    """Each refusal names the value and ends in what to do."""
    with pytest.raises(error, match=message):
        attribute_neuron(network, image, neuron, method, **options)


def test_methods_on_a_layer_are_not_offered():
    """Grad-CAM's map lies at the end of a stage, which may come after the gate; rules need a model that ends there."""
    refused = {"grad_cam", "deep_lift", "deep_lift_shap", "guided_backprop", "deconvolution", "guided_grad_cam"}
    assert NEURON_METHODS.keys() == METHODS.keys() - refused
