"""What SE blocks compute and cost, against the paper written out in loops."""

import copy
import math
import re
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops import SqueezeExcitation

from se_viz import capture_gates, find_gates, insert_se, inspect_gates
from se_viz.errors import NetworkError, NoSEBlocksError
from se_viz.insertion import NoSqueeze

FUNCTIONS = {
    ("sigmoid", "paper"): lambda logit: 1 / (1 + math.exp(-logit)),
    ("tanh", "paper"): math.tanh,
    ("relu", "paper"): lambda logit: max(logit, 0.0),
    ("sigmoid", "identity"): lambda logit: 2 / (1 + math.exp(-logit)),
    ("tanh", "identity"): lambda logit: 1 + math.tanh(logit),
    ("relu", "identity"): lambda logit: max(logit, 0.0),
}
"""Gate functions by excitation and start, of one number."""


def toy() -> nn.Sequential:
    """Build a network of one convolution and one classifier."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    ).eval()


def is_convolution(path: str, module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d)


def layer_by_hand(layer: nn.Conv2d, values: list[float]) -> list[float]:
    """Return a 1x1 convolution of one place, sum by sum."""
    assert layer.bias is not None
    weight = layer.weight.detach()
    bias = layer.bias.detach()
    return [
        sum(float(weight[out, into, 0, 0]) * value for into, value in enumerate(values))
        + float(bias[out])
        for out in range(layer.out_channels)
    ]


def gates_by_hand(block: nn.Module, values: list[float], function) -> list[float]:
    """Return the paper's equation 3 for one squeeze vector."""
    assert isinstance(block, SqueezeExcitation | NoSqueeze)
    hidden = [max(value, 0.0) for value in layer_by_hand(block.fc1, values)]
    return [function(logit) for logit in layer_by_hand(block.fc2, hidden)]


def squeeze_by_hand(channel: Tensor, squeeze: str) -> float:
    """Return the paper's equation 2 for one channel, or its greatest value."""
    values = [float(value) for row in channel for value in row]
    return max(values) if squeeze == "max" else sum(values) / len(values)


@pytest.mark.parametrize(("squeeze", "case"), [*product(("mean", "max"), FUNCTIONS)], ids=str)
def test_a_block_is_the_papers_equations(squeeze, case):
    """Squeeze, excitation and scale (section 3), one number after the other."""
    excitation, start = case
    model = insert_se(
        toy(),
        where=is_convolution,
        reduction=4,
        squeeze=squeeze,
        excitation=excitation,
        start=start,
        size=6,
    )
    block = model.get_submodule("0.1")
    # Where a block begins as the identity, any weights would do.
    for value in block.parameters():
        nn.init.normal_(value)
    features = torch.randn(2, 8, 5, 6)
    with torch.no_grad():
        output = block(features)
    for image, result in zip(features, output, strict=True):
        squeezes = [squeeze_by_hand(channel, squeeze) for channel in image]
        gates = gates_by_hand(block, squeezes, FUNCTIONS[case])
        for channel, gate, scaled in zip(image, gates, result, strict=True):
            torch.testing.assert_close(scaled, channel * gate)


@pytest.mark.parametrize("case", FUNCTIONS, ids=str)
def test_without_a_squeeze_each_place_has_its_own_gates(case):
    """Section 7.1: pooling is left out, and the two layers work at every place."""
    excitation, start = case
    choices = {"excitation": excitation, "start": start, "squeeze": "none"}
    model = insert_se(toy(), where=is_convolution, reduction=4, size=6, **choices)
    block = model.get_submodule("0.1")
    for value in block.parameters():
        nn.init.normal_(value)
    features = torch.randn(1, 8, 3, 4)
    with torch.no_grad():
        output = block(features)
    for row, column in product(range(3), range(4)):
        values = [float(value) for value in features[0, :, row, column]]
        gates = gates_by_hand(block, values, FUNCTIONS[case])
        expected = [value * gate for value, gate in zip(values, gates, strict=True)]
        torch.testing.assert_close(output[0, :, row, column], torch.tensor(expected))


def test_a_block_without_a_squeeze_is_no_se_block():
    """A gate for each place would be drawn as if it were one for a whole channel."""
    model = insert_se(toy(), where=is_convolution, reduction=4, squeeze="none", size=8)
    assert list(inspect_gates(model, size=8).others) == ["0.1"]
    with pytest.raises(NoSEBlocksError, match=r"section 7\.1"):
        find_gates(model, size=8)


@pytest.mark.parametrize(
    ("squeeze", "excitation", "start"),
    [*product(("mean", "max"), ("sigmoid", "tanh", "relu"), ("paper", "identity"))],
)
def test_every_kind_of_block_is_found_with_its_range(squeeze, excitation, start):
    """An axis that ends where gates do not would hide some."""
    choices = {"squeeze": squeeze, "excitation": excitation, "start": start}
    model = insert_se(toy(), where=is_convolution, reduction=4, size=16, **choices)
    (site,) = find_gates(model, size=16)
    ends = {
        "sigmoid": {"paper": (0, 1), "identity": (0, 2)},
        "tanh": {"paper": (-1, 1), "identity": (0, 2)},
        "relu": {"paper": (0, math.inf), "identity": (0, math.inf)},
    }
    assert (site.low, site.high) == ends[excitation][start]
    assert site.pooled == {"mean": "mean", "max": "maximum"}[squeeze]
    assert (site.block, site.channels, site.hidden, site.whole) == ("0.1", 8, 2, True)


@pytest.mark.parametrize("squeeze", ["mean", "max", "none"])
@pytest.mark.parametrize("excitation", ["sigmoid", "tanh", "relu"])
def test_a_step_of_training_moves_gates_that_begin_at_one(squeeze, excitation):
    """An end of the function's range would be exact as well, and stay for ever."""
    model = toy()
    images = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        before = model(images)
    choices = {"squeeze": squeeze, "excitation": excitation, "start": "identity"}
    insert_se(model, where=is_convolution, reduction=4, size=8, **choices)
    with torch.no_grad():
        assert torch.equal(model(images), before)
    block = model.get_submodule("0.1")
    optimiser = torch.optim.SGD(block.parameters(), lr=0.1)
    F.cross_entropy(model(images), torch.tensor([0, 1, 2, 3])).backward()
    optimiser.step()
    features = model.get_submodule("0.0")(images).detach() + 3
    ratio = (block(features) / features).detach()
    assert (ratio - 1).abs().max() > 1e-4
    # Of every image its own: the first step already makes gates of what is in it.
    assert ratio.reshape(4, -1).std(0).max() > 1e-6


def norm(value: Tensor, layer: nn.Module) -> Tensor:
    """Return a norm in evaluation mode, by its formula."""
    assert isinstance(layer, nn.BatchNorm2d)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    scale = layer.weight / (layer.running_var + layer.eps).sqrt()
    shift = layer.bias - layer.running_mean * scale
    return value * scale[:, None, None] + shift[:, None, None]


def recalibrate(value: Tensor, block: nn.Module) -> Tensor:
    """Return a block's output by matrix products."""
    assert isinstance(block, SqueezeExcitation)
    assert block.fc1.bias is not None
    assert block.fc2.bias is not None
    squeeze = value.flatten(2).mean(2)
    hidden = (squeeze @ block.fc1.weight.flatten(1).T + block.fc1.bias).clamp(min=0)
    gates = torch.sigmoid(hidden @ block.fc2.weight.flatten(1).T + block.fc2.bias)
    return value * gates[:, :, None, None]


def unit_by_hand(unit: Bottleneck, block: nn.Module, x: Tensor, integration: str) -> Tensor:
    """Return the residual units of the paper's Fig. 5, and of its last paragraph on 3x3."""
    names = {type(part) for part in (unit.conv1, unit.bn2, unit.bn3)}
    assert names <= {nn.Conv2d, nn.BatchNorm2d}
    y = recalibrate(x, block) if integration == "pre" else x
    y = F.relu(norm(unit.conv1(y), unit.bn1))
    y = norm(unit.conv2(y), unit.bn2)
    if integration == "3x3":
        y = recalibrate(y, block)
    y = norm(unit.conv3(F.relu(y)), unit.bn3)
    if integration == "standard":
        y = recalibrate(y, block)
    shortcut = x
    if unit.downsample is not None:
        convolution, last = unit.downsample.children()
        shortcut = norm(convolution(x), last)
    if integration == "identity":
        shortcut = recalibrate(shortcut, block)
    y = F.relu(y + shortcut)
    return recalibrate(y, block) if integration == "post" else y


@pytest.mark.parametrize("integration", ["standard", "pre", "post", "identity", "3x3"])
def test_integrations_are_those_of_the_paper(integration):
    """Section 6.5 and Fig. 5, for a unit whose shortcut has weights and one whose has none."""
    torch.manual_seed(0)
    model = ResNet(Bottleneck, [2, 1, 1, 1], num_classes=5).eval()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.5, 0.5)
    plain = copy.deepcopy(model)
    insert_se(model, integration=integration, size=64)
    assert len(find_gates(model, size=64)) == 5
    features = torch.randn(2, 64, 16, 16)
    wide = torch.randn(2, 256, 16, 16)
    for index, x in enumerate((features, wide)):
        path = f"layer1.{index}"
        unit = model.get_submodule(path)
        block = next(part for part in unit.modules() if isinstance(part, SqueezeExcitation))
        original = plain.get_submodule(path)
        assert isinstance(original, Bottleneck)
        with torch.no_grad():
            expected = unit_by_hand(original, block, x, integration)
            torch.testing.assert_close(unit(x), expected, rtol=1e-4, atol=1e-4)


def se_resnet50(**choices) -> nn.Module:
    with torch.device("meta"):
        return insert_se(ResNet(Bottleneck, [3, 4, 6, 3]), **choices)


def count(model: nn.Module) -> int:
    return sum(value.numel() for value in model.parameters())


@pytest.mark.parametrize("reduction", [2, 4, 8, 16, 32])
def test_a_resnet50_gets_the_papers_number_of_weights_and_biases(reduction):
    """Section 3.2: (2 / r) sum N_s C_s^2 weights; the paper leaves the biases C / r + C out."""
    stages = list(zip((3, 4, 6, 3), (256, 512, 1024, 2048), strict=True))
    weights = 2 * sum(units * channels**2 for units, channels in stages) // reduction
    biases = sum(units * (channels // reduction + channels) for units, channels in stages)
    with torch.device("meta"):
        plain = count(ResNet(Bottleneck, [3, 4, 6, 3]))
    assert count(se_resnet50(reduction=reduction)) == plain + weights + biases
    if reduction == 16:
        assert weights == 2_514_944


def test_a_resnet50_gets_as_many_products_as_weights():
    """Both layers work on one place for each image: two operations, a product and a sum, for each
    weight.
    """
    with torch.device("meta"):
        plain = ResNet(Bottleneck, [3, 4, 6, 3])
        image = torch.zeros(1, 3, 224, 224)
    totals = []
    for model in (plain, se_resnet50()):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.eval()(image)
        totals.append(counter.get_total_flops())
    assert totals[1] - totals[0] == 2 * 2_514_944


@pytest.mark.parametrize("stages", [(2,), (3, 4), {5}, [2, 3, 4, 5]], ids=str)
def test_stages_are_the_papers(stages):
    """Section 6.4 numbers the stages of a ResNet 2 to 5: layer1 to layer4 of torchvision's."""
    model = se_resnet50(stages=stages)
    blocks = [path for path, part in model.named_modules() if isinstance(part, SqueezeExcitation)]
    assert {int(path[len("layer")]) + 1 for path in blocks} == set(stages)


def test_nothing_but_the_blocks_changes():
    """Modes and weights stay: a network may be half frozen, and in training."""
    model = ResNet(BasicBlock, [1, 1, 1, 1]).train()
    model.layer1.eval()
    modes = {id(part): part.training for part in model.modules()}
    weights = {id(value): value.clone() for value in model.parameters()}
    insert_se(model, size=64)
    assert all(part.training == modes.get(id(part), part.training) for part in model.modules())
    blocks = [part for part in model.modules() if isinstance(part, SqueezeExcitation)]
    new = {id(value) for block in blocks for value in block.parameters()}
    kept = {id(value): value for value in model.parameters() if id(value) not in new}
    assert kept.keys() == weights.keys()
    assert all(torch.equal(kept[key], value) for key, value in weights.items())


def test_a_rule_says_where_in_any_network():
    """The paper's F_tr is any transformation: here every second convolution."""
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Conv2d(channels, 4, 1) for channels in (3, 4, 4, 4)))
    insert_se(model, where=lambda path, _: path in ("1", "3"), reduction=2, size=8)
    assert [site.block for site in find_gates(model, size=8)] == ["1.1", "3.1"]


def test_gates_of_a_rule_are_captured():
    """Paths of the pairs are those that records name."""
    model = insert_se(toy(), where=is_convolution, reduction=2, size=8)
    with torch.no_grad(), capture_gates(model) as records:
        model(torch.randn(3, 3, 8, 8))
    assert [(record.block, tuple(record.gate.shape)) for record in records] == [("0.1", (3, 8))]


REFUSALS = {
    "squeeze": ({"squeeze": "median"}, r"There is no squeeze 'median'\. Choose one of: mean, max"),
    "excitation": ({"excitation": "elu"}, "There is no excitation 'elu'. Choose one of: sigmoid,"),
    "integration": ({"integration": "mid"}, "There is no integration 'mid'. Choose one of: stand"),
    "start": ({"start": "zero"}, "There is no start 'zero'. Choose one of: paper, identity."),
    "reduction": ({"reduction": 0}, "Reduction 0 is no whole number from 1 on."),
    "few channels": ({"reduction": 1024}, r"no hidden unit\. Choose 1 to 64, or leave that stage"),
    "stages": ({"stages": [1, 2]}, r"Stages \[1, 2\] are not all .*Choose from 2, 3, 4, 5, or"),
    "stage as text": ({"stages": "2"}, r"Stages '2' are not all .*Choose from 2, 3, 4, 5, or"),
    "no bottleneck": ({"integration": "3x3"}, "BasicBlock has not. Choose standard."),
    "rule and integration": (
        {"where": is_convolution, "integration": "pre"},
        "With `where` the block follows each module .* Leave one of the two out.",
    ),
    "empty rule": ({"where": lambda *_: False}, "is true of no module of ResNet. Look at its path"),
    "all": ({"where": lambda *_: True}, "is true of the whole ResNet, .* Let it be false where"),
    "no map": (
        {"where": lambda path, _: path == "fc"},
        r"fc puts out \(1, 5\), where an SE block needs a feature map .* Name other modules",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_choice_that_does_not_fit_is_told_and_changes_nothing(case):
    """Half a network with SE blocks would train, and be something else."""
    choices, message = REFUSALS[case]
    model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5)
    before = str(model)
    with pytest.raises(NetworkError, match=message):
        insert_se(model, **{"size": 64, **choices})
    assert str(model) == before


def test_a_module_of_several_widths_is_refused():
    """One ReLU for all of a unit sees other channels each time; one block cannot fit both."""
    model = ResNet(Bottleneck, [1, 1, 1, 1])
    with pytest.raises(NetworkError, match=r"layer1\.0\.relu puts out .* and .*of the same chann"):
        insert_se(model, where=lambda path, _: path == "layer1.0.relu", size=64)


def test_an_image_that_does_not_fit_is_told():
    """The pass that finds channels takes an image, and the user knows of which side."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2))
    with pytest.raises(NetworkError, match=re.escape("Give the side that it takes with `size`.")):
        insert_se(model, where=is_convolution, reduction=2)
    assert insert_se(model, where=is_convolution, reduction=2, size=8) is model


def test_a_network_of_unknown_units_is_told_of_the_rule():
    """A guess at where blocks belong would be none of the paper's networks."""
    with pytest.raises(NetworkError, match="Say where with `where`"):
        insert_se(toy())


def test_transformations_without_a_shortcut_have_the_standard_place_alone():
    """Section 6.5 is about residual units."""
    from torchvision.models import densenet121

    with pytest.raises(NetworkError, match=r"_DenseLayer has not\. Choose standard."):
        insert_se(densenet121(), integration="post", size=64)
