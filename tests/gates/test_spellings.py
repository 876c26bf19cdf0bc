"""One small network of every spelling and family, against formulas that share no code with
capture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import timm
import torch
import torchvision
from timm.layers.squeeze_excite import SqueezeExciteCl
from torch import Tensor, nn
from transformers import EfficientNetConfig, EfficientNetModel, RegNetConfig, RegNetModel

from benchmarks.coverage_oracle import randomise, settle
from se_viz.gates import GateRecord, GateSite, Inspection, capture_gates, inspect_gates

pytestmark = pytest.mark.slow


class SELayer(nn.Module):
    """The block of many research repositories: linear layers, and gates of the shape (batch,
    channels).
    """

    def __init__(self, channels: int, reduction: int = 4):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        layers = [nn.Linear(channels, channels // reduction, bias=False), nn.ReLU(inplace=True)]
        self.fc = nn.Sequential(
            *layers, nn.Linear(channels // reduction, channels, bias=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the input times its gate."""
        batch, channels = x.shape[:2]
        return x * self.fc(self.avg_pool(x).view(batch, channels)).view(
            batch, channels, 1, 1
        ).expand_as(x)


class ChannelsLast(nn.Module):
    """timm's block for (batch, height, width, channels) between two convolutions."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        self.se = SqueezeExciteCl(12, rd_channels=4)

    def forward(self, x: Tensor) -> Tensor:
        """Turn channels to the end and back around the block."""
        return self.se(self.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def research_net() -> nn.Module:
    convs = [
        nn.Conv2d(3, 16, 3, 2, 1),
        nn.ReLU(),
        SELayer(16),
        nn.Conv2d(16, 32, 3, 2, 1),
        SELayer(32, 8),
    ]
    return nn.Sequential(*convs)


REGNET = RegNetConfig(
    embedding_size=8, hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 2, 1], groups_width=8
)
EFFICIENTNET = EfficientNetConfig(
    width_coefficient=0.35, depth_coefficient=0.35, image_size=64, hidden_dim=448
)


@dataclass(frozen=True)
class Case:
    """How one small network is built, and what its paper says of its stages."""

    build: Callable[[], nn.Module]
    stages: list[int]


def library(name: str, stages: list[int], **more: Any) -> Case:
    source, _, model = name.partition(" ")
    build = timm.create_model if source == "timm" else torchvision.models.get_model
    return Case(lambda: build(model, **more), stages)


TWICE = [2, 2, 3, 3, 4, 4, 5, 5]
# Tan & Le (arXiv 1905.11946), Table 1: the gate follows the depthwise convolution, so after its
# stride.
B0 = [1] + [2] * 2 + [3] * 2 + [4] * 6 + [5] * 5
# Howard et al. (arXiv 1905.02244), Table 2: rows with SE.
SMALL = [2] + [4] * 5 + [5] * 3
# Radosavovic et al. (arXiv 2003.13678): depths of the four stages; every stage halves the side, the
# stem before them.
CASES = {
    "torchvision efficientnet_b0": library("torchvision efficientnet_b0", B0),
    "torchvision mobilenet_v3_small": library("torchvision mobilenet_v3_small", SMALL),
    "torchvision regnet_y_400mf": library(
        "torchvision regnet_y_400mf", [2] + [3] * 3 + [4] * 6 + [5] * 6
    ),
    "timm seresnet18": library("timm seresnet18", TWICE),
    "timm legacy_seresnet18": library("timm legacy_seresnet18", TWICE),
    "timm efficientnet_b0": library("timm efficientnet_b0", B0),
    "timm mobilenetv3_small_050": library("timm mobilenetv3_small_050", SMALL),
    "timm regnety_002": library("timm regnety_002", [2] + [3] + [4] * 4 + [5] * 7),
    "timm ese_vovnet19b_dw": library("timm ese_vovnet19b_dw", [2, 3, 4, 5]),
    "timm ecaresnet26t": library("timm ecaresnet26t", TWICE),
    "timm hgnet_tiny": library("timm hgnet_tiny", [2, 3, 4, 4, 5]),
    "timm nf_seresnet26": library("timm nf_seresnet26", TWICE),
    # Tan et al. (arXiv 1807.11626), Figure 7: 3 blocks at 28 x 28, 2 at 14 x 14 and 3 at 7 x 7 have
    # SE.
    "timm semnasnet_050": library("timm semnasnet_050", [3] * 3 + [4] * 2 + [5] * 3),
    # Han et al. (arXiv 2007.00992): units 2, 2, 3, 3, 5 with SE from the fourth unit on, widths
    # grow step by step.
    "timm rexnet_100": library("timm rexnet_100", [3] * 2 + [4] * 6 + [5] * 5),
    "timm cspnext_tiny": library("timm cspnext_tiny", [2, 3, 4, 5]),
    "timm gc_efficientnetv2_rw_t": library("timm gc_efficientnetv2_rw_t", [4] * 15 + [5] * 14),
    "timm resnet18 ceca": library("timm resnet18", TWICE, block_args={"attn_layer": "ceca"}),
    "timm channels last": Case(ChannelsLast, [1]),
    "transformers regnet": Case(lambda: RegNetModel(REGNET), [2, 3, 4, 4, 5]),
    "transformers efficientnet": Case(
        lambda: EfficientNetModel(EFFICIENTNET), [1, 2, 3] + [4] * 4 + [5] * 3
    ),
    "research SELayer": Case(research_net, [1, 2]),
}
"""Name and network; the first word is the library."""


LAYERS = {
    "misc.SqueezeExcitation": "fc1 activation fc2 scale_activation",
    "squeeze_excite.SEModule": "fc1 bn act fc2 gate",
    "squeeze_excite.SqueezeExciteCl": "fc1 act fc2 gate",
    "squeeze_excite.EffectiveSEModule": "fc gate",
    "senet.SEModule": "fc1 relu fc2 sigmoid",
    "hgnet.EseModule": "conv sigmoid",
    "eca.EcaModule": "conv gate",
    "eca.CecaModule": "conv gate",
    "global_context.GlobalContext": "mlp_scale.fc1 mlp_scale.norm mlp_scale.act mlp_scale.fc2 gate",
    "_efficientnet_blocks.SqueezeExcite": "conv_reduce act1 conv_expand gate",
    "modeling_regnet.RegNetSELayer": "attention.0 attention.1 attention.2 attention.3",
    "modeling_efficientnet.EfficientNetSqueezeExciteLayer": "reduce act_reduce expand act_expand",
    "test_spellings.SELayer": "fc.0 fc.1 fc.2 fc.3",
}
"""The excitation's layers in the order of each class's own forward."""


def layers_of(block: nn.Module) -> str | None:
    kind = type(block)
    return LAYERS.get(f"{kind.__module__.split('.')[-1]}.{kind.__name__}")


def squeeze_of(block: nn.Module, features: Tensor) -> Tensor:
    """Return the mean over places; for global context, weighted by a softmax over places (arXiv
    1904.11492, eq. 4).
    """
    if hasattr(block, "conv_attn"):
        conv = block.get_submodule("conv_attn")
        scores = torch.einsum("nchw,c->nhw", features, get(conv, "weight").flatten()) + get(
            conv, "bias"
        )
        # The same shares from scores below 0, of which the exponential is finite.
        powers = (scores - scores.amax((1, 2), keepdim=True)).flatten(1).exp()
        shares = powers / powers.sum(1, keepdim=True)
        return torch.einsum("ncp,np->nc", features.flatten(2), shares)
    return features.sum((2, 3)) / features[0, 0].numel()


def apply(layer: nn.Module, value: Tensor) -> Tensor:
    """Apply one layer of an excitation to (batch, channels), by its weights and its formula."""
    kind = type(layer).__name__.lower()
    if kind == "conv1d":
        return slide(layer, value)
    if kind in ("conv2d", "linear"):
        return value @ get(layer, "weight").flatten(1).T + get(layer, "bias", 0.0)
    if kind.startswith("batchnorm"):
        scaled = (value - get(layer, "running_mean")) / (get(layer, "running_var") + 1e-5).sqrt()
        return scaled * get(layer, "weight") + get(layer, "bias")
    if kind == "layernorm2d":
        scaled = (value - value.mean(1, keepdim=True)) / (
            value.var(1, keepdim=True, correction=0) + 1e-6
        ).sqrt()
        return scaled * get(layer, "weight") + get(layer, "bias")
    return bend(kind, value)


def slide(conv: nn.Module, value: Tensor) -> Tensor:
    """Slide ECA's window along the channels: zeros beyond their ends, or the other end where it is
    circular.
    """
    weight = get(conv, "weight").flatten()
    reach = len(weight) // 2
    channels = value.shape[1]
    circular = conv.padding == (0,)
    total = torch.zeros_like(value)
    for channel in range(channels):
        for step in range(-reach, reach + 1):
            if circular or 0 <= channel + step < channels:
                total[:, channel] += weight[step + reach] * value[:, (channel + step) % channels]
    return total


def bend(kind: str, value: Tensor) -> Tensor:
    """Apply delta or sigma by its formula."""
    steep = 1 / (1 + torch.exp(-value))
    hard = (value + 3).clamp(0, 6) / 6
    formulas = {
        "identity": value,
        "relu": value.clamp(min=0),
        "silu": value * steep,
        "sigmoid": steep,
    }
    return (formulas | {"hardsigmoid": hard, "hardswish": value * hard})[kind]


def get(layer: nn.Module, name: str, default: float = float("nan")) -> Any:
    value = getattr(layer, name)
    return default if value is None else value.double()


@dataclass(frozen=True)
class Look:
    """One pass of one network, seen by capture and by hooks of the test's own."""

    blocks: dict[str, nn.Module]
    passed: dict[str, tuple[Tensor, Tensor]]
    records: list[GateRecord]
    inspection: Inspection


@cache
def look(name: str) -> Look:
    torch.manual_seed(0)
    model = randomise(CASES[name].build()).eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    settle(model, images)
    blocks = {path: block for path, block in model.named_modules() if layers_of(block)}
    passed: dict[str, tuple[Tensor, Tensor]] = {}
    handles = []
    for path, block in blocks.items():
        last = 3 if "last" in name else 1

        def keep(
            _: nn.Module, args: tuple[Tensor], output: Tensor, path: str = path, axis: int = last
        ) -> None:
            passed[path] = args[0].movedim(axis, 1).clone(), output.movedim(axis, 1).clone()

        handles.append(block.register_forward_hook(keep))
    with torch.no_grad(), capture_gates(model) as records:
        model(images)
    for handle in handles:
        handle.remove()
    return Look(blocks, passed, records, inspect_gates(model, size=64))


@pytest.mark.parametrize("name", CASES)
def test_squeeze_and_gate_are_the_formula_on_the_weights(name: str):
    """s = sigma(W2 delta(W1 z)) from the weights alone, in double precision, for every block of
    the network.
    """
    study = look(name)
    assert [record.block for record in study.records] == list(study.passed)
    assert study.passed.keys() == study.blocks.keys()
    for record in study.records:
        block = study.blocks[record.block]
        value = squeeze_of(block, study.passed[record.block][0].double())
        torch.testing.assert_close(
            record.squeeze.double(), value, rtol=1e-4, atol=1e-4
        )  # sums in single precision
        for path in str(layers_of(block)).split():
            value = apply(block.get_submodule(path), value)
        torch.testing.assert_close(record.gate.double(), value, rtol=1e-4, atol=1e-4)  # the same
        assert record.gate.std() > 1e-4
        assert record.squeeze.std() > 1e-4


@pytest.mark.parametrize("name", CASES)
def test_output_over_input_is_the_gate(name: str):
    """By the definition of recalibration: bit for bit as a product, and as a quotient where U is
    not small.
    """
    study = look(name)
    for record in study.records:
        before, after = study.passed[record.block]
        gate = record.gate[:, :, None, None]
        assert torch.equal(gate * before, after)
        large = before.abs() > 1e-3 * before.abs().max()
        assert large.any()
        torch.testing.assert_close((after / before)[large], gate.expand_as(before)[large])


@pytest.mark.parametrize("name", CASES)
def test_inspection_lists_every_block_and_what_it_is(name: str):
    """None missing, none refused; the library and the class; r from the first layer's rows."""
    study = look(name)
    assert [site.block for site in study.inspection.sites] == list(study.passed)
    assert (study.inspection.refused, study.inspection.others) == ({}, {})
    for site in study.inspection.sites:
        check_site(site, study.blocks[site.block], name.split()[0])


def check_site(site: GateSite, block: nn.Module, source: str) -> None:
    paths = str(layers_of(block)).split()
    weights = [
        layer
        for layer in map(block.get_submodule, paths)
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    ]
    hidden = len(get(weights[0], "weight")) if len(weights) == 2 else None
    assert site.form == f"{source} {type(block).__name__}".removeprefix("research ")
    assert (site.hidden, site.ratio) == (hidden, hidden and site.channels / hidden)
    assert (site.low, site.high, site.closed) == (0.0, 1.0, "Hard" in site.function)
    assert site.function == type(block.get_submodule(paths[-1])).__name__
    assert site.averaged == (type(block).__name__ != "GlobalContext")


@pytest.mark.parametrize("name", CASES)
def test_stages_are_those_of_the_paper(name: str):
    """The stride of the block's input, which papers tabulate as the side of the feature map."""
    assert [record.stage for record in look(name).records] == CASES[name].stages
