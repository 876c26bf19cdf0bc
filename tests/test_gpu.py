"""What only a GPU can show: the CPU's gates within its precision, and one copy a pass."""

import copy
from collections.abc import Iterator

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from se_viz.analysis import analyse
from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.run import attribute
from se_viz.gates import GateRecord, capture_gates
from se_viz.networks import Network
from se_viz.residents import Residents
from se_viz.runtime import line_of, peak_memory

pytestmark = pytest.mark.gpu
CUDA = torch.device("cuda:0")


@pytest.fixture
def on_gpu(network: Network) -> Network:
    """The same network, with the same weights, on the first GPU."""
    return Network(copy.deepcopy(network.model).to(CUDA), network.card, CUDA)


@pytest.fixture
def exact() -> Iterator[None]:
    """Single precision as on the CPU: without it, convolutions keep 10 bits of each factor (TF32)."""
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


def assert_near(found: list[GateRecord], expected: list[GateRecord], *, within: float) -> None:
    assert [(record.block, record.stage) for record in found] == [(record.block, record.stage) for record in expected]
    for record, other in zip(found, expected, strict=True):
        assert (record.gate.device.type, record.gate.dtype) == ("cpu", torch.float32)
        torch.testing.assert_close(record.gate, other.gate, rtol=0, atol=within)
        scale = other.squeeze.abs().max().item()
        torch.testing.assert_close(record.squeeze, other.squeeze, rtol=0, atol=within * scale)


@pytest.mark.usefixtures("exact")
def test_gates_on_a_gpu_are_those_of_the_cpu(network, on_gpu, images):
    """Only the order of additions differs: float32 rounding through 50 layers."""
    assert_near(capture(on_gpu, images), capture(network, images), within=1e-4)


def test_gates_of_the_default_precision_are_near(network, on_gpu, images):
    """cuDNN may round factors to TF32, a relative error of 2**-11 each, through 50 layers."""
    assert_near(capture(on_gpu, images), capture(network, images), within=0.02)


@pytest.mark.parametrize(("dtype", "within"), [(torch.float16, 0.02), (torch.bfloat16, 0.1)])
def test_gates_under_autocast_are_near_and_float32(network, on_gpu, images, dtype, within):
    """float16 keeps 11 bits and bfloat16 8, in every layer; the record is float32 all the same."""
    with torch.autocast("cuda", dtype=dtype):
        found = capture(on_gpu, images)
    assert_near(found, capture(network, images), within=within)


def test_all_gates_of_a_pass_come_in_one_copy(on_gpu, images):
    """Each copy to the CPU waits for the device: sixteen blocks with two each would cost thirty-two waits."""
    capture(on_gpu, images)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as trace:
        records = capture(on_gpu, images)
        torch.cuda.synchronize()
    assert len(records) == 16
    copies = [event.name for event in trace.events() or [] if "DtoH" in event.name]
    assert len(copies) == 1, copies


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("key", METHODS)
def test_attributions_on_a_gpu_are_those_of_the_cpu(network, on_gpu, images, key):
    """The map does not depend on where it was computed; Occlusion takes small differences of logits."""
    expected = attribute(network, images[:1], 2, key).map
    found = attribute(on_gpu, images[:1].to(CUDA), 2, key).map
    assert found.device.type == "cpu"
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-3 * expected.abs().max().item())


def test_peak_memory_is_what_pytorch_allocated_there(on_gpu):
    """The footer of a GPU speaks of the GPU: at least the weights, and more after a pass."""
    torch.cuda.reset_peak_memory_stats(CUDA)
    weights = sum(value.numel() * value.element_size() for value in on_gpu.model.parameters())
    analyse(on_gpu, Image.effect_noise((64, 64), 90).convert("RGB"))
    peak = peak_memory(CUDA)
    assert peak is not None
    assert peak > weights
    assert line_of(CUDA).step is not None


def test_a_network_that_makes_room_frees_the_gpu(network):
    """A page that is still open holds it: the memory has to come back nevertheless."""
    residents = Residents[Network](1, lambda moved: moved.model.to("meta") and None)

    def load() -> Network:
        return Network(copy.deepcopy(network.model).to(CUDA), network.card, CUDA)

    start = torch.cuda.memory_allocated(CUDA)
    with residents.borrow("first", load) as first:
        one = torch.cuda.memory_allocated(CUDA) - start
    assert one > 0
    with residents.borrow("second", load):
        assert torch.cuda.memory_allocated(CUDA) - start < 1.5 * one
    assert next(first.model.parameters()).is_meta
