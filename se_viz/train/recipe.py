"""The training recipe as data: what is trained, how long, on which sizes, with which step."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that shapes the weights; two runs with equal recipes may be joined."""

    architecture: str = "se_resnet50"
    """Architecture to train: a depth of se_viz, or what torchvision or timm builds with SE
    blocks."""
    width: float = 0.5
    """Channels of stages 2 to 5, as a share of the paper's; of se_viz's own architectures."""
    reduction: int = 16
    """The paper's r; of se_viz's own architectures."""
    initial: str = ""
    """Name of a network whose weights the run begins with; random ones when empty."""
    epochs: int = 50
    """Passes over the training images."""
    batch: int = 64
    """Images a step."""
    sizes: tuple[int, ...] = (96, 96, 128, 128, 160)
    """Progressive resolution: the side of the crops over equal parts of the run."""
    rate: float = 0.0015
    """Highest learning rate of the one-cycle schedule."""
    gate_rate: float = 0.0004
    """The same for the SE blocks: at 0.003, nine gates in ten of stages 4 and 5 stood at 1 after
    ten epochs."""
    decay: float = 0.05
    """AdamW's decay of weight matrices; norms and biases have none."""
    smoothing: float = 0.1
    """Label smoothing."""
    mixup: float = 0.2
    """Alpha of mixup's Beta distribution; 0 switches it off."""
    crop: float = 0.25
    """Smallest share of an image's area that a training crop shows."""
    erasing: float = 0.25
    """Chance that a rectangle of a crop is painted over."""
    average: float = 0.998
    """Decay of the exponential moving average of the weights, per step."""
    seed: int = 0
    """Seed of the first weights and the augmentation."""

    def size_at(self, epoch: int) -> int:
        """Return the side of the crops in an epoch, counted from 0."""
        return self.sizes[epoch * len(self.sizes) // self.epochs]
