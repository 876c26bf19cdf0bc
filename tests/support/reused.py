"""Small networks whose one SE block is used twice in a pass, or has its channels last."""

from timm.layers.squeeze_excite import SEModule, SqueezeExciteCl
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation


class Twice(nn.Module):
    """One block twice in a row: what the first use puts out is what the second is given."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.se = SqueezeExcitation(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit a channel."""
        return self.se(self.se(self.stem(images))).mean((2, 3))


class TwiceApart(nn.Module):
    """One block at two places, on maps that differ, so that its uses have to be told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv2d(3, 8, 3, 2)
        self.se = SEModule(8, rd_channels=2)
        self.end = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Return four logits."""
        return self.end(self.se(self.se(self.start(images)).tanh()).mean((2, 3)))


class Last(nn.Module):
    """A block that has its channels last, between layers that have them first."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.se = SqueezeExciteCl(8)

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit a channel."""
        return self.se(self.stem(images).movedim(1, -1)).mean((1, 2))
