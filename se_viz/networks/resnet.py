"""SE-ResNet: squeeze-and-excitation put into torchvision's ResNet, on the residual branch.

Why: docs/decisions/010-se-block-in-resnet.md
"""

from dataclasses import dataclass

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops import SqueezeExcitation

from se_viz.errors import NetworkError


@dataclass(frozen=True, slots=True)
class ResNetPlan:
    """A depth of ResNet: its residual unit and how many of them each stage has."""

    unit: type[BasicBlock] | type[Bottleneck]
    """torchvision's residual unit."""
    blocks: tuple[int, int, int, int]
    """Units in stages 2 to 5 (He et al., arXiv 1512.03385, Table 1)."""


PLANS = {
    "se_resnet18": ResNetPlan(BasicBlock, (2, 2, 2, 2)),
    "se_resnet34": ResNetPlan(BasicBlock, (3, 4, 6, 3)),
    "se_resnet50": ResNetPlan(Bottleneck, (3, 4, 6, 3)),
    "se_resnet101": ResNetPlan(Bottleneck, (3, 4, 23, 3)),
    "se_resnet152": ResNetPlan(Bottleneck, (3, 8, 36, 3)),
}


def build_se_resnet(
    architecture: str, *, num_classes: int = 1000, width: float = 1.0, reduction: int = 16
) -> ResNet:
    """Build an untrained SE-ResNet, with SE as in Hu et al., arXiv 1709.01507, Fig. 3.

    ``architecture`` is a key of `PLANS`. ``width`` scales the channels of stages 2 to 5 (1.0: 256,
    512, 1024, 2048 for the bottleneck depths); the stem keeps its 64 channels. ``reduction`` is the
    paper's r.

    Raises:
        NetworkError: a width or reduction that the architecture cannot have.
    """
    unit = _scaled(PLANS[architecture].unit, width)
    model = ResNet(
        unit,
        list(PLANS[architecture].blocks),
        num_classes=num_classes,
        width_per_group=int(64 * width),
        zero_init_residual=True,
    )
    return _add_blocks(model, reduction=reduction)


def _add_blocks(model: ResNet, *, reduction: int) -> ResNet:
    """Put an SE block after the last norm of every residual unit, in place.

    As `se_viz.insert_se` does, without the pass that it finds channels with.

    The block sees the residual branch before the addition: ``x + SE(F(x))`` (arXiv 1709.01507, Fig.
    3). torchvision's own ``forward`` stays as it is: the norm becomes the pair (norm, SE block).

    Raises:
        NetworkError: a reduction that leaves a block no hidden unit.
    """
    for unit in model.modules():
        if isinstance(unit, BasicBlock | Bottleneck):
            last = "bn3" if isinstance(unit, Bottleneck) else "bn2"
            norm = getattr(unit, last)
            channels = norm.num_features
            if not 1 <= reduction <= channels:
                raise NetworkError(
                    f"Reduction {reduction} does not divide {channels} channels into hidden units. "
                    f"Choose 1 to {channels}; the paper's is 16."
                )
            se = SqueezeExcitation(channels, channels // reduction, scale_activation=nn.Sigmoid)
            setattr(unit, last, nn.Sequential(norm, se))
    return model


def _scaled(
    unit: type[BasicBlock] | type[Bottleneck], width: float
) -> type[BasicBlock] | type[Bottleneck]:
    if width == 1.0:
        return unit
    if unit is BasicBlock or width not in (0.25, 0.5, 2.0):
        raise NetworkError(
            f"Width {width:g} cannot be built: bottleneck depths (50, 101, 152) come in 0.25, 0.5, "
            "1 and 2, the others in 1 only. Change the width or the depth."
        )
    # torchvision derives every stage's channels from the unit's expansion, so no constructor is
    # rewritten.
    return type("Bottleneck", (Bottleneck,), {"expansion": int(Bottleneck.expansion * width)})
