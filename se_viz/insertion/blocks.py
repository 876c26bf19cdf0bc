"""The SE block that is inserted: torchvision's, with the paper's other squeezes and excitations."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.errors import NetworkError


class TwiceSigmoid(nn.Module):
    """2 x sigmoid: a gate from 0 to 2, exactly 1 where the logit is 0."""

    def forward(self, logit: Tensor) -> Tensor:
        """Return gates of the logits."""
        return 2 * torch.sigmoid(logit)


class OnePlusTanh(nn.Module):
    """1 + tanh: a gate from 0 to 2, exactly 1 where the logit is 0."""

    def forward(self, logit: Tensor) -> Tensor:
        """Return gates of the logits."""
        return 1 + torch.tanh(logit)


class NoSqueeze(nn.Module):
    """The control of Hu et al., arXiv 1709.01507, section 7.1: excitation without a squeeze.

    The two layers are 1x1 convolutions at every place, so that there is a gate for each place and
    channel. It is no SE block: no gate belongs to a whole channel, and `find_gates` lists none.
    """

    def __init__(self, channels: int, hidden: int, function: type[nn.Module]) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.activation = nn.ReLU()
        self.fc2 = nn.Conv2d(hidden, channels, 1)
        self.scale_activation = function()

    def forward(self, features: Tensor) -> Tensor:
        """Multiply each value of a map by its own gate."""
        logit = self.fc2(self.activation(self.fc1(features)))
        return features * self.scale_activation(logit)


@dataclass(frozen=True, slots=True)
class Gating:
    """A gate function, the one that begins at exactly 1, and the logit at which it does."""

    paper: type[nn.Module]
    """As in section 6.3 of the paper."""
    identity: type[nn.Module]
    """Its like whose gate can be 1 with a gradient: of a sigmoid and a tanh 1 is an end that they
    only reach where their gradient is zero."""
    logit: float
    """Where ``identity`` is 1."""


EXCITATIONS = {
    "sigmoid": Gating(nn.Sigmoid, TwiceSigmoid, 0.0),
    "tanh": Gating(nn.Tanh, OnePlusTanh, 0.0),
    "relu": Gating(nn.ReLU, nn.ReLU, 1.0),
}
"""Gate functions of the paper's section 6.3."""
SQUEEZES: dict[str, Callable[[], nn.Module] | None] = {
    "mean": lambda: nn.AdaptiveAvgPool2d(1),
    "max": lambda: nn.AdaptiveMaxPool2d(1),
    "none": None,
}
"""Squeezes of the paper's section 6.2, and none (section 7.1)."""
STARTS = ("paper", "identity")


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """What every inserted block is like."""

    reduction: int
    """The paper's r."""
    squeeze: str
    """A key of `SQUEEZES`."""
    excitation: str
    """A key of `EXCITATIONS`."""
    start: str
    """``paper``: PyTorch's ordinary first weights; ``identity``: every gate is exactly 1."""

    def build(self, channels: int, path: str) -> nn.Module:
        """Return a block for a map of so many channels, to be inserted at ``path``.

        Raises:
            NetworkError: the reduction leaves it no hidden unit.
        """
        if self.reduction > channels:
            raise NetworkError(
                f"Reduction {self.reduction} leaves the {channels} channels of {path} no hidden "
                f"unit. Choose 1 to {channels}, or leave that stage out."
            )
        hidden = channels // self.reduction
        gating = EXCITATIONS[self.excitation]
        function = gating.identity if self.start == "identity" else gating.paper
        pool = SQUEEZES[self.squeeze]
        if pool is None:
            block: NoSqueeze | SqueezeExcitation = NoSqueeze(channels, hidden, function)
        else:
            block = SqueezeExcitation(channels, hidden, scale_activation=function)
            # By its name alone the attribute is a mean.
            setattr(block, "avgpool", pool())  # noqa: B010
        if self.start == "identity":
            _begin_at(block.fc2, gating.logit)
        return block


def _begin_at(layer: nn.Conv2d, logit: float) -> None:
    """Let a layer put out one number, whatever comes in; its weights still have a gradient."""
    assert layer.bias is not None
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, logit)
