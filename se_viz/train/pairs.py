"""Networks to compare: each family plain, with SE blocks, and plain with the parameters that the
blocks have.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torchvision.models.googlenet import BasicConv2d, Inception
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.resnet import Bottleneck
from torchvision.models.vgg import VGG, make_layers

from se_viz.experiments import Variant
from se_viz.insertion import insert_se


@dataclass(frozen=True, slots=True)
class Pair:
    """A family of networks at a slim width."""

    name: str
    """What the runs are called."""
    title: str
    """What the family is called in sentences."""
    build: Callable[[float, int], nn.Module]
    """Takes a width and the number of classes; returns the plain network, untrained."""
    width: float
    """Width of the pair."""
    reduction: int = 16
    """The paper's r."""

    def make(self, variant: Variant, classes: int) -> nn.Module:
        """Return an untrained network: plain, with SE blocks, or wider."""
        width = self.wider(classes) if variant == "wide" else self.width
        model = self.build(width, classes)
        return insert_se(model, reduction=self.reduction, size=64) if variant == "se" else model

    def wider(self, classes: int) -> float:
        """Return the width at which the plain network has the SE network's parameters."""
        low, high = self.width, 2 * self.width
        with torch.device("meta"):
            goal = count_parameters(self.make("se", classes))
            for _ in range(30):
                middle = (low + high) / 2
                if count_parameters(self.build(middle, classes)) < goal:
                    low = middle
                else:
                    high = middle
            sizes = {
                width: abs(count_parameters(self.build(width, classes)) - goal)
                for width in (low, high)
            }
        return min(sizes, key=sizes.__getitem__)


def count_parameters(model: nn.Module) -> int:
    """Return the number of trained values."""
    return sum(value.numel() for value in model.parameters())


def build_resnet(width: float, classes: int) -> nn.Module:
    """Build a ResNet of eight bottleneck units (He et al., arXiv 1512.03385); width 1 has the
    paper's channels.
    """
    channels = _scaled((64, 128, 256, 512), width)
    layers: list[nn.Module] = [
        nn.Conv2d(3, channels[0], 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(channels[0]),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    before = channels[0]
    for stage, planes in enumerate(channels):
        for unit in range(2):
            layers.append(_bottleneck(before, planes, 2 if stage and not unit else 1))
            before = planes * Bottleneck.expansion
    return _classify(layers, before, classes)


def _bottleneck(before: int, planes: int, stride: int) -> Bottleneck:
    after = planes * Bottleneck.expansion
    if stride == 1 and before == after:
        return Bottleneck(before, planes)
    shortcut = nn.Sequential(
        nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
    )
    return Bottleneck(before, planes, stride, shortcut)


def build_vgg(width: float, classes: int) -> nn.Module:
    """Build VGG-11 with norms (arXiv 1409.1556, Table 1, A); the classifier is one layer behind a
    mean over places.
    """
    channels = _scaled((64, 128, 256, 256, 512, 512, 512, 512), width)
    plan: list[int | str] = []
    for index, value in enumerate(channels):
        plan += [value, "M"] if index in (0, 1, 3, 5, 7) else [value]
    model = VGG(make_layers(plan, batch_norm=True), num_classes=classes)  # pyright: ignore[reportArgumentType]
    model.avgpool = nn.AdaptiveAvgPool2d(1)
    model.classifier = nn.Sequential(nn.Linear(channels[-1], classes))
    return model


_INCEPTIONS = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)
"""Channels of GoogLeNet's inception modules (arXiv 1409.4842, Table 1), 3a to 5b."""


def build_googlenet(width: float, classes: int) -> nn.Module:
    """Build GoogLeNet with norms, without its auxiliary classifiers."""
    first, second = _scaled((64, 192), width)
    layers: list[nn.Module] = [
        BasicConv2d(3, first, kernel_size=7, stride=2, padding=3),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        BasicConv2d(first, first, kernel_size=1),
        BasicConv2d(first, second, kernel_size=3, padding=1),
        nn.MaxPool2d(3, 2, ceil_mode=True),
    ]
    before = second
    for index, row in enumerate(_INCEPTIONS):
        one, reduce3, three, reduce5, five, pooled = _scaled(row, width)
        layers.append(Inception(before, one, reduce3, three, reduce5, five, pooled))
        before = one + three + five + pooled
        if index in (1, 6):
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
    return _classify(layers, before, classes)


def build_mobilenet(width: float, classes: int) -> nn.Module:
    """Build MobileNetV2 (arXiv 1801.04381), channels rounded to whole numbers."""
    return MobileNetV2(num_classes=classes, width_mult=width, round_nearest=1)


def _scaled(channels: Sequence[int], width: float) -> list[int]:
    return [max(1, round(width * value)) for value in channels]


def _classify(layers: list[nn.Module], channels: int, classes: int) -> nn.Sequential:
    last = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    return nn.Sequential(*layers, *last)


PAIRS = (
    Pair("resnet", "ResNet", build_resnet, 0.25),
    Pair("vgg", "VGG", build_vgg, 0.25),
    Pair("googlenet", "GoogLeNet", build_googlenet, 0.5),
    # Its narrowest blocks have eight channels.
    Pair("mobilenet", "MobileNetV2", build_mobilenet, 0.5, reduction=8),
)
"""What is compared."""
