"""ResNets with SE blocks as Captum alone can work on: a ReLU for each use, and products as
differences of squares.
"""

import copy
from types import MethodType
from typing import Any

import pytest
from captum.attr._core import deep_lift
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck
from torchvision.ops import SqueezeExcitation


class Square(nn.Module):
    """What Captum can be taught a rule for: the one that it has for ReLU."""

    def forward(self, values: Tensor) -> Tensor:
        """Return the squares."""
        return values**2


class Squares(nn.Module):
    """The product of two, x s = ((x + s)^2 - (x - s)^2) / 4."""

    def __init__(self) -> None:
        super().__init__()
        self.plus = Square()
        self.minus = Square()

    def forward(self, features: Tensor, gates: Tensor) -> Tensor:
        """Return features times gates."""
        return (self.plus(features + gates) - self.minus(features - gates)) / 4


def teach_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Captum pass differences back through a `Square`, for one test."""
    monkeypatch.setitem(deep_lift.SUPPORTED_NON_LINEAR, Square, deep_lift.nonlinear)


def write_out_relus(model: nn.Module) -> nn.Module:
    """Return a copy of a ResNet whose units have a ReLU for each use, written out by hand from its
    paper.
    """

    def forward(unit: Any, x: Tensor) -> Tensor:
        out = unit.relu1(unit.bn1(unit.conv1(x)))
        out = unit.bn3(unit.conv3(unit.relu2(unit.bn2(unit.conv2(out)))))
        return unit.relu3(out + (x if unit.downsample is None else unit.downsample(x)))

    twin = copy.deepcopy(model)
    for unit in [module for module in twin.modules() if isinstance(module, Bottleneck)]:
        del unit.relu
        unit.relu1 = nn.ReLU()
        unit.relu2 = nn.ReLU()
        unit.relu3 = nn.ReLU()
        unit.forward = MethodType(forward, unit)
    for module in twin.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return twin


def write_out_products(model: nn.Module) -> nn.Module:
    """Return a copy as of `write_out_relus` whose SE blocks multiply by squares."""

    def forward(block: Any, features: Tensor) -> Tensor:
        return block.product(features, block._scale(features))

    twin = write_out_relus(model)
    for block in [module for module in twin.modules() if isinstance(module, SqueezeExcitation)]:
        block.product = Squares()
        block.forward = MethodType(forward, block)
    return twin
