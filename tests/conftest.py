"""Fixtures of the test suite, and the runtime check of tensor shapes, which only tests pay for."""

from pathlib import Path

import pytest
import streamlit as st
import torch
from jaxtyping import Float, install_import_hook
from torch import Tensor, nn
from torch.nn import init

# Before the first import of se_viz: a module that is already loaded stays unchecked.
install_import_hook("se_viz", "beartype.beartype")
torch.set_num_threads(1)

from se_viz.charts import dress  # noqa: E402
from se_viz.networks import Network, NetworkCard, checkpoints, load_network  # noqa: E402
from se_viz.networks.checkpoints import save_checkpoint  # noqa: E402
from se_viz.networks.resnet import build_se_resnet  # noqa: E402

# A property that Plotly does not know is an error here, and costs nothing in the app.
dress.validated = True
CLASSES = ("ant", "bee", "cat", "dog", "elk")


@pytest.fixture
def se_net() -> nn.Module:
    """SE-ResNet-50 at a quarter of its width: 16 blocks, 5 classes, evaluation mode, gradients on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_se_resnet("se_resnet50", num_classes=len(CLASSES), width=0.25)
        randomise(model)
    return model.eval()


@pytest.fixture
def images() -> Float[Tensor, "2 3 64 64"]:
    """Two inputs as the network sees them: about zero mean and unit spread."""
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def card(se_net: nn.Module) -> NetworkCard:
    """Return the card of ``se_net``, named ``tiny``, before it is saved: it has no hash yet."""
    return NetworkCard(
        name="tiny",
        title="A tiny SE-ResNet-50",
        architecture="se_resnet50",
        arguments={"width": 0.25, "reduction": 16},
        classes=CLASSES,
        input_size=64,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        parameters=sum(value.numel() for value in se_net.parameters()),
        top1=0.2,
        evaluated_with="nothing: it was never trained",
        trained_with="nothing: it was never trained",
        data="random numbers",
        date="2026-01-01",
        sha256="",
        licence="Apache-2.0",
    )


@pytest.fixture
def network_folder(tmp_path: Path, se_net: nn.Module, card: NetworkCard) -> Path:
    """Return a folder that bundles one network, named ``tiny``; a test may damage it."""
    folder = tmp_path / "checkpoints"
    save_checkpoint(se_net, card, folder)
    return folder


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch, network_folder: Path) -> Path:
    """Let the app find one small network, and nothing that another test has cached."""
    monkeypatch.setattr(checkpoints, "FOLDER", network_folder)
    st.cache_data.clear()
    st.cache_resource.clear()
    return network_folder


@pytest.fixture
def network(network_folder: Path) -> Network:
    """Return the bundled network, loaded to the CPU; its input is 64 pixels."""
    return load_network("tiny", "cpu", folder=network_folder)


def randomise(model: nn.Module) -> None:
    """Give every norm values as if trained, and every gate room to leave 0.5.

    A new network's last norms are zero, so U = 0 in every block and no test of a gate proves anything.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            init.uniform_(module.weight, 0.2, 1.0)
            init.normal_(module.bias, 0.0, 0.3)
            module.running_mean.normal_(0.0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
        elif name.endswith(".fc2"):
            assert isinstance(module, nn.Conv2d)
            init.normal_(module.weight, 0.0, 1.0)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that is marked ``gpu`` on a machine without one."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
