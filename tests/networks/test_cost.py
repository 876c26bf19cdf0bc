"""What of a network's size and work is SE, however its blocks are written."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz import inspect_gates
from se_viz.networks.cost import measure_cost


class ByClass(nn.Module):
    """A block of torchvision between two convolutions."""

    def __init__(self):
        super().__init__()
        self.before = nn.Conv2d(3, 8, 3)
        self.se = SqueezeExcitation(8, 2)
        self.after = nn.Conv2d(8, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of 4 channels."""
        return self.after(self.se(self.before(x)))


class InItsForward(nn.Module):
    """The same, written into the network's own ``forward``."""

    def __init__(self):
        super().__init__()
        self.before = nn.Conv2d(3, 8, 3)
        self.reduce = nn.Conv2d(8, 2, 1)
        self.expand = nn.Conv2d(2, 8, 1)
        self.after = nn.Conv2d(8, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of 4 channels."""
        x = self.before(x)
        gate = torch.sigmoid(self.expand(self.reduce(x.mean((2, 3), keepdim=True)).relu()))
        return self.after(x * gate)


@pytest.mark.parametrize("kind", [ByClass, InItsForward])
def test_what_of_it_is_se(kind: type[nn.Module]):
    """Two layers of 8 x 2 weights with 2 and 8 biases, each used once an image."""
    model = kind()
    inspect_gates(model, size=16)
    convolutions = (3 * 8 * 9 + 8) + (8 * 4 * 9 + 4)
    work = 14 * 14 * 3 * 8 * 9 + 12 * 12 * 8 * 4 * 9
    cost = measure_cost(model, 16)
    assert (cost.parameters, cost.blocks, cost.se_parameters) == (convolutions + 42, 1, 42)
    assert cost.gflops == pytest.approx((work + 32) / 1e9)
    assert cost.se_gflops == pytest.approx(32 / 1e9)
