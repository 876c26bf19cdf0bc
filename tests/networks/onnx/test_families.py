"""Networks of ten families, exported by PyTorch: every gate is onnxruntime's own intermediate
value.
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from benchmarks.coverage_oracle import randomise
from benchmarks.elsewhere import run_for_gate
from se_viz import GateRecord, capture_gates, gate_jacobian, inspect_gates, open_gate
from se_viz.networks.onnx.child import prepare
from se_viz.networks.onnx.conversion import convert_model

pytestmark = [
    pytest.mark.slow,
    # PyTorch's exporter speaks of its own future.
    pytest.mark.filterwarnings("ignore"),
]


class Sound(nn.Module):
    """SE on a signal, with the mean and two layers written into ``forward``."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(4, 16, 3, padding=1)
        self.reduce = nn.Linear(16, 4)
        self.expand = nn.Linear(4, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return 5 logits."""
        x = self.stem(x).relu()
        gate = torch.sigmoid(self.expand(self.reduce(x.mean(-1)).relu()))
        return self.head((x * gate[:, :, None]).mean(-1))


class Volume(nn.Module):
    """SE on a volume, with a hard sigmoid."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(1, 8, 3, padding=1)
        self.reduce = nn.Conv3d(8, 4, 1)
        self.expand = nn.Conv3d(4, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return 5 logits."""
        x = self.stem(x).relu()
        pooled = nn.functional.adaptive_avg_pool3d(x, 1)
        gate = nn.functional.hardsigmoid(self.expand(self.reduce(pooled).relu()))
        return self.head((x * gate).flatten(2).mean(-1))


PHOTO = (3, 64, 64)
FAMILIES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "MobileNetV3": (torchvision.models.mobilenet_v3_small, PHOTO, 9),
    "EfficientNet": (lambda: timm.create_model("test_efficientnet"), PHOTO, 2),
    "SE-ResNet": (lambda: timm.create_model("seresnet18"), PHOTO, 8),
    "ECA-ResNet": (lambda: timm.create_model("ecaresnet26t"), PHOTO, 8),
    "RegNetY": (lambda: timm.create_model("regnety_002"), PHOTO, 13),
    "GhostNet": (lambda: timm.create_model("ghostnet_050"), PHOTO, 7),
    "VoVNet": (lambda: timm.create_model("ese_vovnet19b_dw"), PHOTO, 4),
    "ReXNet": (lambda: timm.create_model("rexnet_100"), PHOTO, 13),
    "by hand, a signal": (Sound, (4, 50), 1),
    "by hand, a volume": (Volume, (1, 9, 9, 9), 1),
}
"""How each is made, the shape of its input, and how many gates it has by its own code."""


@pytest.mark.parametrize("family", FAMILIES)
def test_every_gate_is_the_value_that_onnxruntime_computes(family: str, tmp_path: Path):
    """Gates of two inputs in one pass; the graph runs one by one, its gates among its outputs."""
    make, shape, count = FAMILIES[family]
    torch.manual_seed(0)
    model = randomise(make().eval())
    file = tmp_path / "net.onnx"
    torch.onnx.export(model, (torch.randn(1, *shape),), file, verbose=False, external_data=False)
    out = BytesIO()
    prepare(memoryview(file.read_bytes()), out, title=family, shape=[*shape], channels_last=False)
    ready = onnx.load_model_from_string(out.getvalue().partition(b"\n")[2])
    images = np.random.default_rng(1).standard_normal((2, *shape)).astype(np.float32)
    converted = convert_model(ready, channels_last=False)
    with torch.no_grad(), capture_gates(converted) as records:
        converted(torch.from_numpy(images))
    assert len(records) == count == len(inspect_gates(converted, size=shape).sites)
    products = {node.name: node for node in ready.graph.node}
    for record in records:
        expected = run_for_gate(ready, [*products[record.block].input], images, record.gate.shape)
        assert np.allclose(record.gate.numpy(), expected, atol=1e-5)
    check_opened(family, model, converted, records)


OPENED = ("MobileNetV3", "SE-ResNet", "RegNetY", "by hand, a signal", "by hand, a volume")
"""Those with the paper's layer, function, layer and function: their blocks are opened."""


def check_opened(
    family: str, model: nn.Module, converted: nn.Module, records: list[GateRecord]
) -> None:
    """Compare the weights and steps that a converted network's gates are opened to with those of
    the network that it was made of.
    """
    if family not in OPENED:
        return
    matrices = [value.flatten(1) for value in model.parameters() if value.ndim > 1]
    for record in (records[0], records[-1]):
        excitation = open_gate(converted, record, image=1)
        assert excitation.exact
        assert any(torch.equal(excitation.reduce, matrix) for matrix in matrices)
        assert any(torch.equal(excitation.expand, matrix) for matrix in matrices)
    small = min(records, key=lambda record: record.gate.shape[1])
    assert gate_jacobian(converted, small).any()
