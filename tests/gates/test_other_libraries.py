"""SE blocks of libraries that the table of spellings does not know: of medicine, segmentation and
speech.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from se_viz import capture_gates, inspect_gates
from tests import ROOT

pytestmark = pytest.mark.slow

# The libraries are imported by the tests: every process of the suite collects this file.


@contextmanager
def listen(modules: list[nn.Module]) -> Iterator[list[Tensor]]:
    """Keep what modules put out, (batch, channels) each, in the order in which they run."""
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        outputs.append(output.detach().clone().reshape(len(output), -1))

    handles = [module.register_forward_hook(keep) for module in modules]
    yield outputs
    for handle in handles:
        handle.remove()


def expect_gates(model: nn.Module, inputs: Tensor, functions: list[nn.Module]) -> None:
    """Check that the gates of a model are what its gate functions put out, bit for bit, and that it
    answers as without a capture.
    """
    with torch.no_grad(), listen(functions) as expected:
        answer = model(inputs)
    inspection = inspect_gates(model, size=tuple(inputs.shape[1:]))
    with torch.no_grad(), capture_gates(model) as records:
        again = model(inputs)
    assert torch.equal(answer, again)
    assert len(records) == len(inspection.sites) == len(expected) > 0
    for record, gate in zip(records, expected, strict=True):
        assert torch.equal(record.gate, gate), record.name


def of(kind: type[nn.Module], model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, kind)]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_monai_scales_channels_of_signals_pictures_and_volumes(rank: int):
    """`ChannelSELayer` in MONAI's own SENet, by an excitation that ends in a sigmoid."""
    from monai.networks.blocks import squeeze_and_excitation as monai
    from monai.networks.nets.senet import SENet

    torch.manual_seed(0)
    model = SENet(
        spatial_dims=rank,
        in_channels=1,
        block=monai.SEResNetBottleneck,
        layers=(1, 1, 1, 1),
        groups=1,
        reduction=16,
        dropout_prob=None,
        inplanes=64,
        downsample_kernel_size=1,
        num_classes=2,
    ).eval()
    blocks = of(monai.ChannelSELayer, model)
    assert len(blocks) == 4
    functions = [block.get_submodule("fc")[-1] for block in blocks]  # pyright: ignore[reportIndexIssue]
    expect_gates(model, torch.randn(2, 1, *[33] * rank), functions)


def test_monai_residual_layer_is_named_and_not_drawn():
    """It adds its input to the product: no gate is the multiplier of a channel."""
    from monai.networks.blocks.squeeze_and_excitation import ResidualSELayer

    layer = ResidualSELayer(spatial_dims=2, in_channels=16)
    model = nn.Sequential(nn.Conv2d(1, 16, 3), layer).eval()
    inspection = inspect_gates(model, size=(1, 32, 32))
    assert not inspection.sites
    assert "adds its input" in inspection.others["1"]


@pytest.mark.parametrize("encoder", ["se_resnet50", "efficientnet-b0", "tu-mobilenetv3_small_100"])
def test_a_segmentation_network_has_the_gates_of_its_encoder(encoder: str):
    """Its decoder's scSE adds two products, and is named."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    model = smp.Unet(encoder, encoder_weights=None, decoder_attention_type="scse").eval()
    inspection = inspect_gates(model, size=64)
    assert inspection.sites
    assert all(site.block.startswith("encoder") for site in inspection.sites)
    assert any(path.startswith("decoder") for path in inspection.others)
    with torch.no_grad(), capture_gates(model) as records:
        model(torch.randn(2, 3, 64, 64))
    assert len(records) == len(inspection.sites)
    assert all(record.gate.std() > 0 for record in records)


def test_a_network_of_speakers_has_its_gates():
    """ECAPA-TDNN: 1-D, with a mean over all moments, or over those that a mask leaves."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.speakers"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    told = json.loads(process.stdout.splitlines()[-1])
    assert told == {"whole": [True] * 3, "masked": [True] * 3}
