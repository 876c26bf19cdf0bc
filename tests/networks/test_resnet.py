import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import SqueezeExcitation

from se_viz.errors import NetworkError
from se_viz.gates import find_gates
from se_viz.networks.resnet import PLANS, build_se_resnet


def build_empty(architecture: str, *, width: float = 1.0) -> nn.Module:
    """Build a network without memory for its values: for counting and for names."""
    with torch.device("meta"):
        return build_se_resnet(architecture, width=width)


def se_blocks(model: nn.Module) -> dict[str, SqueezeExcitation]:
    return {
        path: block for path, block in model.named_modules() if isinstance(block, SqueezeExcitation)
    }


def norm(value: Tensor, layer: nn.Module) -> Tensor:
    assert isinstance(layer, nn.BatchNorm2d)
    return F.batch_norm(
        value, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=layer.eps
    )


def recalibrate(features: Tensor, se: SqueezeExcitation) -> Tensor:
    """Squeeze, excitation and scale as the paper writes them."""
    hidden = F.relu(F.conv2d(features.mean((2, 3), keepdim=True), se.fc1.weight, se.fc1.bias))
    return features * torch.sigmoid(F.conv2d(hidden, se.fc2.weight, se.fc2.bias))


def test_se_resnet50_has_the_papers_block_counts():
    """Table 1 of arXiv 1709.01507: stages 2 to 5 have 3, 4, 6 and 3 units, one SE block each."""
    paths = list(se_blocks(build_empty("se_resnet50")))
    assert [sum(path.startswith(f"layer{layer}.") for path in paths) for layer in range(1, 5)] == [
        3,
        4,
        6,
        3,
    ]


def test_se_resnet50_adds_the_papers_number_of_weights():
    """Section 3.2 of arXiv 1709.01507: (2 / r) * sum of N_s C_s^2, which is 2,514,944 for r =
    16.
    """
    blocks = se_blocks(build_empty("se_resnet50")).values()
    weights = sum(layer.weight.numel() for block in blocks for layer in (block.fc1, block.fc2))
    stages = zip((3, 4, 6, 3), (256, 512, 1024, 2048), strict=True)
    assert weights == 2 * sum(count * channels**2 for count, channels in stages) // 16 == 2_514_944


def test_se_resnet50_adds_nothing_but_the_se_blocks():
    """The difference to torchvision's ResNet-50 is the paper's weights and one bias for each unit
    of a layer.
    """
    with torch.device("meta"):
        plain = models.resnet50(weights=None)
    biases = sum(
        n * (c // 16 + c) for n, c in zip((3, 4, 6, 3), (256, 512, 1024, 2048), strict=True)
    )
    added = sum(value.numel() for value in build_empty("se_resnet50").parameters())
    added -= sum(value.numel() for value in plain.parameters())
    assert added == 2_514_944 + biases


def test_half_the_width_has_half_the_channels_and_sixteen_gates():
    """Width scales stages 2 to 5 and leaves the number of units alone."""
    model = build_se_resnet("se_resnet50", num_classes=10, width=0.5)
    sites = find_gates(model, size=64)
    expected = [(2, 128)] * 3 + [(3, 256)] * 4 + [(4, 512)] * 6 + [(5, 1024)] * 3
    assert [(site.stage, site.channels) for site in sites] == expected


@pytest.mark.parametrize("architecture", PLANS)
def test_torchvisions_weights_fit_apart_from_se(architecture: str):
    """Only a level is added to the last norm's name, so published ResNet weights can be loaded by
    renaming.
    """
    with torch.device("meta"):
        plain = models.get_model(architecture.removeprefix("se_"), weights=None)
    last = "bn3" if isinstance(plain.get_submodule("layer1.0"), Bottleneck) else "bn2"
    ours = {
        name.replace(f"{last}.0.", f"{last}."): value.shape
        for name, value in build_empty(architecture).state_dict().items()
        if f"{last}.1." not in name
    }
    assert ours == {name: value.shape for name, value in plain.state_dict().items()}


def test_open_gates_give_torchvisions_resnet(images: Tensor):
    """With every gate at exactly 1 (sigmoid of 100 in float32) recalibration does nothing, bit for
    bit.
    """
    torch.manual_seed(0)
    model = build_se_resnet("se_resnet18", num_classes=10).eval()
    for block in se_blocks(model).values():
        assert block.fc2.bias is not None
        nn.init.zeros_(block.fc2.weight)
        nn.init.constant_(block.fc2.bias, 100.0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    plain = models.resnet18(weights=None, num_classes=10).eval()
    weights = {name.replace("bn2.0.", "bn2."): value for name, value in model.state_dict().items()}
    plain.load_state_dict({name: value for name, value in weights.items() if "bn2.1." not in name})
    with torch.no_grad():
        assert torch.equal(model(images), plain(images))


@pytest.mark.parametrize("path", ["layer1.0", "layer2.0", "layer4.2"])
def test_se_sits_on_the_residual_branch_before_the_addition(se_net: nn.Module, path: str):
    """Figure 3 of arXiv 1709.01507: out = relu(SE(F(x)) + identity), F being three convolutions
    and norms.
    """
    unit = se_net.get_submodule(path)
    assert isinstance(unit, Bottleneck)
    x = torch.randn(2, unit.conv1.in_channels, 8, 8, generator=torch.Generator().manual_seed(3))
    last, se = (unit.get_submodule(name) for name in ("bn3.0", "bn3.1"))
    assert isinstance(se, SqueezeExcitation)
    with torch.no_grad():
        first = F.relu(norm(F.conv2d(x, unit.conv1.weight), unit.get_submodule("bn1")))
        second = F.conv2d(first, unit.conv2.weight, stride=unit.stride, padding=1)
        third = F.conv2d(F.relu(norm(second, unit.get_submodule("bn2"))), unit.conv3.weight)
        identity = x if unit.downsample is None else unit.downsample(x)
        expected = F.relu(recalibrate(norm(third, last), se) + identity)
        assert torch.equal(unit(x), expected)


def test_basic_units_have_se_on_the_residual_branch_too(images: Tensor):
    """SE-ResNet-18 has two convolutions a unit; its last norm is the second one."""
    torch.manual_seed(0)
    unit = build_se_resnet("se_resnet18").eval().get_submodule("layer1.0")
    assert isinstance(unit, BasicBlock)
    last, se = (unit.get_submodule(name) for name in ("bn2.0", "bn2.1"))
    assert isinstance(last, nn.BatchNorm2d)
    assert isinstance(se, SqueezeExcitation)
    nn.init.uniform_(last.weight, 0.5, 1.5)
    x = images.repeat(1, 22, 1, 1)[:, :64]
    with torch.no_grad():
        first = F.relu(norm(F.conv2d(x, unit.conv1.weight, padding=1), unit.get_submodule("bn1")))
        second = norm(F.conv2d(first, unit.conv2.weight, padding=1), last)
        assert torch.equal(unit(x), F.relu(recalibrate(second, se) + x))


def test_the_reduction_ratio_is_the_papers_r():
    """W1 has C / r rows: a ratio of 4 makes 64 of 256 channels."""
    with torch.device("meta"):
        model = build_se_resnet("se_resnet50", reduction=4)
    assert se_blocks(model)["layer1.0.bn3.1"].fc1.out_channels == 256 // 4


@pytest.mark.parametrize(
    ("architecture", "width"), [("se_resnet50", 0.3), ("se_resnet50", 0.0), ("se_resnet18", 0.5)]
)
def test_a_width_that_cannot_be_built_is_refused(architecture: str, width: float):
    """Channels are whole multiples of torchvision's units, and basic units have no factor to
    scale.
    """
    message = (
        rf"Width {width:g} cannot be built: .*0\.25, 0\.5, 1 and 2, the others in 1 only\. Change"
    )
    with pytest.raises(NetworkError, match=message):
        build_se_resnet(architecture, width=width)


@pytest.mark.parametrize("reduction", [0, 65])
def test_a_reduction_without_hidden_units_is_refused(reduction: int):
    """C/r hidden units need 1 <= r <= C; SE-ResNet-18 begins with 64 channels."""
    with pytest.raises(NetworkError, match="the paper's is 16"):
        build_se_resnet("se_resnet18", reduction=reduction)
