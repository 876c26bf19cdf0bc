"""What only a GPU can show: the CPU's numbers within its precision, and one copy a pass."""

import copy
import importlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from se_viz.attribution.catalogue.pixels import METHODS
from se_viz.attribution.paths.trace import trace_paths
from se_viz.attribution.question.targets import Target
from se_viz.devices.choice import line_of, peak_memory
from se_viz.devices.residents import Residents
from se_viz.experiments.analysis import analyse
from se_viz.experiments.counterfactuals import Replacement, gates_of, run_counterfactuals
from se_viz.experiments.effects import ablate_channels
from se_viz.gates import GateRecord, capture_gates
from se_viz.gates.jacobian import gate_jacobian
from se_viz.gates.surgery import level_gates, set_gates
from se_viz.networks import Network

pytestmark = pytest.mark.gpu
CUDA = torch.device("cuda:0")
LAST = "layer4.2.bn3.1"


@pytest.fixture
def on_gpu(network: Network) -> Network:
    """The same network, with the same weights, on the first GPU."""
    return Network(copy.deepcopy(network.model).to(CUDA), network.card, CUDA)


@pytest.fixture
def exact() -> Iterator[None]:
    """Single precision as on the CPU: without it, convolutions keep 10 bits of each factor
    (TF32).
    """
    operations = [getattr(torch.backends.cudnn, "conv"), torch.backends.cuda.matmul]  # noqa: B009
    before = [operation.fp32_precision for operation in operations]
    for operation in operations:
        operation.fp32_precision = "ieee"
    yield
    for operation, precision in zip(operations, before, strict=True):
        operation.fp32_precision = precision


@torch.inference_mode()
def capture(network: Network, images: Tensor) -> list[GateRecord]:
    with capture_gates(network.model) as records:
        network.model(images.to(network.device))
    return records


def assert_near(records: list[GateRecord], expected: list[GateRecord], *, within: float) -> None:
    assert [(record.block, record.stage) for record in records] == [
        (record.block, record.stage) for record in expected
    ]
    for record, expected_record in zip(records, expected, strict=True):
        assert (record.gate.device.type, record.gate.dtype) == ("cpu", torch.float32)
        torch.testing.assert_close(record.gate, expected_record.gate, rtol=0, atol=within)
        scale = expected_record.squeeze.abs().max().item()
        torch.testing.assert_close(
            record.squeeze, expected_record.squeeze, rtol=0, atol=within * scale
        )


@pytest.mark.usefixtures("exact")
def test_gates_on_a_gpu_are_those_of_the_cpu(network, on_gpu, images):
    """Only the order of additions differs: through 50 layers, double precision is 3e-7 away."""
    assert_near(capture(on_gpu, images), capture(network, images), within=1e-5)


def test_gates_of_the_default_precision_are_near(network, on_gpu, images):
    """cuDNN may round factors to TF32, a relative error of 2**-11 each: 4e-4 when that is done on
    the CPU.
    """
    assert_near(capture(on_gpu, images), capture(network, images), within=4e-3)


@pytest.mark.parametrize(("dtype", "within"), [(torch.float16, 5e-3), (torch.bfloat16, 4e-2)])
def test_gates_under_autocast_are_near_and_float32(network, on_gpu, images, dtype, within):
    """float16 keeps 11 bits and bfloat16 8: on the CPU 6e-4 and 4e-3 away.

    The record is float32 all the same.
    """
    with torch.autocast("cuda", dtype=dtype):
        records = capture(on_gpu, images)
    assert_near(records, capture(network, images), within=within)


def test_all_gates_of_a_pass_come_in_one_copy(on_gpu, images):
    """Each copy to the CPU waits for the device: sixteen blocks with two each would cost
    thirty-two waits.
    """
    capture(on_gpu, images)
    # Without `acc_events`, older releases warn that events of an earlier cycle are gone.
    with profile(
        activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], acc_events=True
    ) as trace:
        records = capture(on_gpu, images)
        torch.cuda.synchronize()
    assert len(records) == 16
    copies = [event.name for event in trace.events() or [] if "DtoH" in event.name]
    assert len(copies) == 1, copies


def assert_alike(values: Tensor, expected: Tensor, *, within: float = 5e-3) -> None:
    """Compare on the scale of the greatest value: small differences of logits are taken in
    float32.
    """
    assert (values.device.type, values.dtype) == ("cpu", expected.dtype)
    size = expected.abs().max().item()
    assert size > 0
    torch.testing.assert_close(values, expected, rtol=0, atol=within * size)


def attribution(module: str) -> ModuleType:
    """Return a module that calls Captum, or skip the test where there is none."""
    pytest.importorskip("captum", reason="needs Captum")
    return importlib.import_module(f"se_viz.attribution.{module}")


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("key", METHODS)
def test_attributions_on_a_gpu_are_those_of_the_cpu(network, on_gpu, images, key):
    """The map does not depend on where it was computed, nor do the random numbers that it is made
    with.
    """
    attribute = attribution("run").attribute
    # The logits of a random network are small, and so has Lime's penalty to be; its Lasso stops
    # when near enough.
    options: dict[str, Any] = {"alpha": 1e-6} if key == "lime" else {}
    expected, values = (
        attribute(where, images[:1].to(where.device), 2, key, **options).map
        for where in (network, on_gpu)
    )
    assert_alike(values, expected, within=2e-2 if key == "lime" else 5e-3)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("key", ["conductance", "feature_ablation", "deep_lift"])
def test_layers_on_a_gpu_are_explained_as_on_the_cpu(network, on_gpu, images, key):
    """A tap holds a feature map on the network's device, and what is made of it comes back."""
    layer = attribution("places").Layer("after", LAST)
    explain = attribution("layers").attribute_layer
    expected, values = (
        explain(where, images[:1].to(where.device), Target(2), key, layer=layer).values
        for where in (network, on_gpu)
    )
    assert_alike(values, expected)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize(
    "key", ["gradient_x_gate", "ablation", "integrated_gradients", "conductance"]
)
def test_gates_on_a_gpu_are_explained_as_on_the_cpu(network, on_gpu, images, key):
    """Gates are replaced where they are."""
    explain = attribution("gates").attribute_gates
    expected, values = (
        explain(where, images[:1].to(where.device), 2, key, LAST).values
        for where in (network, on_gpu)
    )
    assert_alike(values, expected)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize(
    "key", ["integrated_gradients", "guided_backprop", "deep_lift", "conductance"]
)
def test_a_gate_on_a_gpu_is_explained_as_on_the_cpu(network, on_gpu, images, key):
    """A pass ends at the gate, and the way back begins there; conductance goes on to the answer."""
    neuron = importlib.import_module("se_viz.gates.neurons").Neuron(LAST, 5)
    explain = attribution("neurons").attribute_neuron
    options = {"target": 2} if key == "conductance" else {}
    expected, values = (
        explain(where, images[:1].to(where.device), neuron, key, **options).map
        for where in (network, on_gpu)
    )
    assert_alike(values, expected)


@pytest.mark.usefixtures("exact")
def test_ways_through_gates_on_a_gpu_are_those_of_the_cpu(network, on_gpu, images):
    """Derivatives come back in double precision; the steps are the same."""
    expected, trace = (
        trace_paths(where, images[:1].to(where.device), 2, n_steps=8) for where in (network, on_gpu)
    )
    for name, flow in expected.flows.items():
        assert_alike(trace.flows[name].map, flow.map)
        assert_alike(
            torch.cat([*trace.flows[name].through.values()]), torch.cat([*flow.through.values()])
        )


PHOTO = Image.fromarray(np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8))
"""The same for both devices."""


def ones(network: Network) -> Tensor:
    """Return how far each block's answer is from the network's where all its gates are 1."""
    question = Replacement("ones", "block")
    counterfactuals = run_counterfactuals(
        network, PHOTO, question, gates_of(analyse(network, PHOTO))
    )
    return torch.tensor(
        [counterfactual.probability - counterfactual.live for counterfactual in counterfactuals]
    )


def edited(network: Network) -> Tensor:
    """Return the logits with some gates shut, and others at their mean."""
    edits = [set_gates("layer2.1.bn3.1", 0.0, channels=[3, 4]), level_gates("layer3.2.bn3.1")]
    return analyse(network, PHOTO, edits=edits).logits


def slopes(network: Network) -> Tensor:
    """Return the derivatives of two gates by all squeezes of their block."""
    record = analyse(network, PHOTO).records[-1]
    return gate_jacobian(network.model, record, channels=[0, 7])


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize(
    "ask",
    [
        ones,
        edited,
        slopes,
        lambda network: ablate_channels(network, PHOTO, LAST, channels=[0, 5, 9]),
    ],
)
def test_changed_gates_on_a_gpu_give_what_they_give_on_the_cpu(
    network, on_gpu, ask: Callable[[Network], Tensor]
):
    """Whatever is put in the place of a gate has to be on its device."""
    assert_alike(ask(on_gpu), ask(network))


def test_peak_memory_is_what_pytorch_allocated_there(on_gpu):
    """The footer of a GPU speaks of the GPU: at least the weights, and more after a pass."""
    torch.cuda.reset_peak_memory_stats(CUDA)
    weights = sum(value.numel() * value.element_size() for value in on_gpu.model.parameters())
    analyse(on_gpu, PHOTO)
    peak = peak_memory(CUDA)
    assert peak is not None
    assert peak > weights
    assert line_of(CUDA).step is not None


def test_a_network_that_makes_room_frees_the_gpu(network):
    """A page that is still open holds it: the memory has to come back nevertheless."""
    residents = Residents[Network](1, lambda moved: moved.model.to("meta") and None)

    def load() -> Network:
        return Network(copy.deepcopy(network.model).to(CUDA), network.card, CUDA)

    # The first pass of a process takes memory for the libraries, which stays.
    load()
    start = torch.cuda.memory_allocated(CUDA)
    with residents.borrow("first", load) as first:
        size = torch.cuda.memory_allocated(CUDA) - start
    assert size > 0
    with residents.borrow("second", load):
        assert torch.cuda.memory_allocated(CUDA) - start < 1.5 * size
    assert next(first.model.parameters()).is_meta
