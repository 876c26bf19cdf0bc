"""Fixtures of the test suite, and the runtime check of tensor shapes, which only tests pay for."""

import copy
import gc
import shutil
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import init
from torchvision.models.resnet import Bottleneck
from torchvision.ops import SqueezeExcitation

# Until all tests are collected: nothing that is imported becomes garbage, and looking for some
# among hundreds of thousands of objects, again and again, takes a fifth of the imports' time.
gc.disable()

# Before the first import of se_viz: a module that is already loaded stays unchecked. A machine that
# is lent for its GPU may have no more than PyTorch.
if find_spec("beartype"):
    from tests.support.checked import check_calls

    check_calls("se_viz")
torch.set_num_threads(1)

from se_viz.networks import Network, NetworkCard, checkpoints, load_network  # noqa: E402
from se_viz.networks.architectures import build  # noqa: E402
from se_viz.networks.resnet import build_se_resnet  # noqa: E402
from se_viz.networks.weights import save_checkpoint  # noqa: E402

# A property that Plotly does not know is an error here, and costs nothing in the app.
if find_spec("plotly"):
    from se_viz.charts import dress

    dress.validated = True
BROWSER = "tests/browser/"
CLASSES = ("ant", "bee", "cat", "dog", "elk")


@pytest.fixture(scope="session")
def session_model() -> nn.Module:
    """Return the network of all tests, built once; a test takes ``se_net``, its own copy."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_se_resnet("se_resnet50", num_classes=len(CLASSES), width=0.25)
        randomise(model)
    return model.eval()


@pytest.fixture
def se_net(session_model: nn.Module) -> nn.Module:
    """SE-ResNet-50 at a quarter of its width: 16 blocks, 5 classes, evaluation mode, gradients
    on.
    """
    return copy.deepcopy(session_model)


@pytest.fixture
def images() -> Float[Tensor, "2 3 64 64"]:
    """Two inputs as the network sees them: about zero mean and unit spread."""
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def image(images: Tensor) -> Tensor:
    """One of them alone: what methods explain is one image."""
    return images[:1]


@pytest.fixture(scope="session")
def card(session_model: nn.Module) -> NetworkCard:
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
        parameters=sum(value.numel() for value in session_model.parameters()),
        top1=0.2,
        evaluated_with="nothing: it was never trained",
        trained_with="nothing: it was never trained",
        data="random numbers",
        date="2026-01-01",
        sha256="",
        licence="Apache-2.0",
    )


@pytest.fixture(scope="session")
def saved(
    tmp_path_factory: pytest.TempPathFactory, session_model: nn.Module, card: NetworkCard
) -> Path:
    """Return a folder that bundles one network, named ``tiny``, for all tests: nobody may write
    into it.
    """
    folder = tmp_path_factory.mktemp("bundled") / "checkpoints"
    save_checkpoint(session_model, card, folder)
    return folder


@pytest.fixture
def network_folder(tmp_path: Path, saved: Path) -> Path:
    """Return a folder that bundles one network, named ``tiny``; a test may damage it."""
    return shutil.copytree(saved, tmp_path / "checkpoints")


@pytest.fixture(scope="session")
def components() -> Iterator[None]:
    """Let Streamlit look for installed components once, as a server does, and not for every page
    that is opened.
    """
    from streamlit.components.v2 import manifest_scanner as scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanner, "scan_component_manifests", cache(scanner.scan_component_manifests))
        yield


@contextmanager
def serve(folder: Path) -> Iterator[Path]:
    """Let the app find the networks of a folder, and nothing that was cached before; leave nothing
    cached.
    """
    import streamlit as st

    def clear() -> None:
        st.cache_data.clear()
        st.cache_resource.clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "FOLDER", folder)
        # The app looks at all that is frozen whenever a network was loaded, as a hundred tests do.
        patch.setattr(gc, "unfreeze", lambda: None)
        clear()
        yield folder
        clear()


@pytest.fixture
def bundled(network_folder: Path, components: None) -> Iterator[Path]:
    """Let the app find one small network, and nothing that another test has cached; a test may
    change both.
    """
    with serve(network_folder):
        yield network_folder


@pytest.fixture(scope="module")
def warm(saved: Path, components: None) -> Iterator[Path]:
    """Let the app find one small network, and what earlier tests of the module have cached.

    Nobody may change either.

    A test that changes the network, or tells by what is computed, takes ``bundled`` first.
    """
    with serve(saved):
        yield saved


@pytest.fixture(scope="session")
def session_network(saved: Path) -> Network:
    """Return the bundled network for all tests; a test takes ``network``, its own copy."""
    return load_network("tiny", "cpu", folder=saved)


@pytest.fixture
def network(session_network: Network) -> Network:
    """Return the bundled network, loaded to the CPU; its input is 64 pixels."""
    return copy.deepcopy(session_network)


@pytest.fixture(scope="session")
def session_shallow(card: NetworkCard) -> Network:
    """Return the shallow network for all tests; a test takes ``shallow``, its own copy."""
    with torch.random.fork_rng(devices=[]):
        # A seed with which Grad-CAM is 0 at no stage, and has both signs before its ReLU at one.
        torch.manual_seed(0)
        stem = nn.Conv2d(3, 16, 4, stride=4)
        layers = {
            f"layer{index}": _residual(8 * 2**index, stride=min(index, 2)) for index in (1, 2, 3, 4)
        }
        ends = {
            "pool": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
            "fc": nn.Linear(128, len(CLASSES)),
        }
        model = nn.Sequential(OrderedDict(conv1=stem, **layers, **ends))
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                # As in torchvision's ResNets: PyTorch's own weights leave maps that hardly differ
                # from place to place.
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        randomise(model)
    return Network(model.eval().requires_grad_(False), card, torch.device("cpu"))


@pytest.fixture
def shallow(session_shallow: Network) -> Network:
    """An SE block a stage, as ``network`` names them: for what does not depend on the depth, at a
    third of the time.
    """
    return copy.deepcopy(session_shallow)


@pytest.fixture(scope="session")
def quick_card(card: NetworkCard) -> NetworkCard:
    """Return the card of the smallest network that can be saved: what is scored does not depend on
    the size, and its time does.
    """
    return replace(card, library="timm", architecture="test_efficientnet", arguments={})


@pytest.fixture(scope="session")
def quick_model(quick_card: NetworkCard) -> nn.Module:
    """Return that network itself, which no test may change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build(quick_card, num_classes=len(quick_card.classes))
        randomise(model)
    return model.eval()


@pytest.fixture(scope="session")
def quick_folder(
    quick_model: nn.Module, quick_card: NetworkCard, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder that holds it, into which nobody may write."""
    folder = tmp_path_factory.mktemp("quick")
    save_checkpoint(quick_model, quick_card, folder)
    return folder


def _residual(channels: int, *, stride: int) -> nn.Sequential:
    inputs = channels if stride == 1 else channels // 2
    shortcut = None if stride == 1 else nn.Conv2d(inputs, channels, 1, stride)
    unit = type("Bottleneck", (Bottleneck,), {"expansion": 1})(inputs, channels, stride, shortcut)
    unit.bn3 = nn.Sequential(
        unit.bn3, SqueezeExcitation(channels, channels // 4, scale_activation=nn.Sigmoid)
    )
    return nn.Sequential(unit)


def randomise(model: nn.Module) -> None:
    """Give every norm values as if trained, and every gate room to leave 0.5.

    A new network's last norms are zero, so U = 0 in every block and no test of a gate proves
    anything.
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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a file's tests to one process, and all browser tests, which share a server and a
    Chromium.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return BROWSER if nodeid.startswith(BROWSER) else super()._split_scope(nodeid)

    return Scheduling(config, log)


def pytest_collection_finish() -> None:
    """Look for garbage from here on, but never again among what was imported."""
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that is marked ``gpu`` on a machine without one."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
