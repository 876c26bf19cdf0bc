"""Every family of networks that SE blocks are put into: unchanged at first, then found, captured
and edited like any other.
"""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.models.vgg import VGG, make_layers
from torchvision.ops import SqueezeExcitation

from se_viz import capture_gates, edit_gates, find_gates, insert_se
from se_viz.errors import NetworkError

pytestmark = pytest.mark.slow


def small_vgg(*, norm: bool) -> VGG:
    """Build a VGG whose classifier is one layer: the paper's three hold most of its weights."""
    model = VGG(make_layers([16, "M", 16, "M", 32, 32, "M"], batch_norm=norm), num_classes=5)
    model.avgpool = nn.AdaptiveAvgPool2d(1)
    model.classifier = nn.Sequential(nn.Linear(32, 5))
    return model


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "ResNet of basic units": (lambda: ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5), 4),
    "ResNet": (lambda: ResNet(Bottleneck, [1, 1, 1, 1], num_classes=5), 4),
    "ResNeXt": (lambda: ResNet(Bottleneck, [1] * 4, 5, groups=32, width_per_group=4), 4),
    "Wide ResNet": (lambda: ResNet(Bottleneck, [1, 1, 1, 1], 5, width_per_group=128), 4),
    "VGG": (lambda: small_vgg(norm=False), 4),
    "VGG with norms": (lambda: small_vgg(norm=True), 4),
    "GoogLeNet": (lambda: models.googlenet(num_classes=5, init_weights=False), 9),
    "Inception v3": (lambda: models.inception_v3(num_classes=5, init_weights=False), 11),
    "DenseNet": (lambda: models.DenseNet(32, (2, 2, 2, 2), 16, num_classes=5), 8),
    "MobileNetV2": (lambda: models.mobilenet_v2(num_classes=5), 17),
    "MobileNetV3": (lambda: models.mobilenet_v3_small(num_classes=5), 11),
    "ShuffleNetV2": (lambda: models.shufflenet_v2_x1_0(num_classes=5), 16),
    "MNASNet": (lambda: models.mnasnet1_0(num_classes=5), 16),
    "ConvNeXt": (lambda: models.convnext_tiny(num_classes=5), 18),
    "EfficientNet": (lambda: models.efficientnet_b0(num_classes=5), 16),
    "EfficientNetV2": (lambda: models.efficientnet_v2_s(num_classes=5), 40),
}
"""Each with the number of its units, counted from its paper's table or from the lines above."""
SIZE = 96


def randomise(model: nn.Module) -> None:
    """Give norms and layer scales the values of a trained network: at first some are zero."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.2, 0.2)
    for name, value in model.named_parameters():
        if name.endswith("layer_scale"):
            nn.init.uniform_(value, 0.5, 1.0)


def without_own_blocks(model: nn.Module) -> nn.Module:
    """Replace blocks that the library put there by nothing, with a loop of its own."""
    for part in list(model.modules()):
        for name, child in part.named_children():
            if isinstance(child, SqueezeExcitation):
                setattr(part, name, nn.Identity())
    return model


@pytest.fixture(params=NETWORKS)
def plain(request: pytest.FixtureRequest) -> tuple[nn.Module, int]:
    """Return a network in evaluation mode with random norms, and the number of its units."""
    build, count = NETWORKS[request.param]
    torch.manual_seed(0)
    model = build().eval()
    randomise(model)
    return model, count


def test_a_network_that_begins_unchanged_answers_as_before(plain, images):
    """To the bit: where training goes on from pretrained weights, nothing of them is lost."""
    model, _ = plain
    twin = without_own_blocks(copy.deepcopy(model))
    insert_se(model, reduction=8, start="identity", size=SIZE)
    with torch.no_grad():
        assert torch.equal(model(images), twin(images))


def test_what_is_put_in_is_found_captured_and_edited(plain, images):
    """A network that se_viz makes must be one that it can look into, at every one of its units."""
    model, count = plain
    assert insert_se(model, reduction=8, size=SIZE) is model
    sites = find_gates(model, size=SIZE)
    assert len(sites) == count
    assert {(site.function, site.low, site.high, site.pooled) for site in sites} == {
        ("Sigmoid", 0.0, 1.0, "mean")
    }
    assert all(site.hidden == site.channels // 8 and site.whole for site in sites)
    with torch.no_grad(), capture_gates(model) as records:
        before = model(images)
    assert [record.block for record in records] == [site.block for site in sites]
    # Without it the first block's branch or map has lost all of what it had.
    with torch.no_grad(), edit_gates(model, {sites[0].block: torch.zeros_like}):
        assert not torch.equal(model(images), before)


def test_a_network_is_still_copied_pickled_and_loaded(plain, images):
    """Closures and hooks would not survive that."""
    model, _ = plain
    insert_se(model, reduction=8, size=SIZE)
    with torch.no_grad():
        expected = model(images)
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(twin(images), expected)
    other = copy.deepcopy(model)
    for value in other.parameters():
        nn.init.zeros_(value)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(other(images), expected)


@pytest.fixture
def images() -> Tensor:
    """Return two images of noise."""
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def test_a_second_time_is_refused():
    """Two blocks in a row are seldom meant."""
    model = insert_se(ResNet(BasicBlock, [1, 1, 1, 1]), size=64)
    with pytest.raises(NetworkError, match=r"has an SE block already, layer1\.0\.bn2\.1\. Build"):
        insert_se(model, size=64)
