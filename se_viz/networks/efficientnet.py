"""SE-EfficientNet-Lite0: torchvision's EfficientNet-B0, SE blocks and all, with the convolutions of
EfficientNet-Lite.

Why: docs/decisions/046-a-pretrained-network-learns-to-recalibrate.md
"""

from functools import partial

from torch import nn
from torchvision.models import efficientnet_b0
from torchvision.models.efficientnet import EfficientNet
from torchvision.ops import SqueezeExcitation

ARCHITECTURE = "se_efficientnet_lite0"


def build_se_efficientnet(architecture: str, *, num_classes: int = 1000) -> EfficientNet:
    """Build an untrained SE-EfficientNet-Lite0.

    EfficientNet-Lite0 is EfficientNet-B0 (Tan and Le, arXiv 1905.11946, Table 1) without its SE
    blocks and with ReLU6 for SiLU. Here the blocks are where B0 has them, between the depthwise
    convolution's activation and the projection, with a quarter of the residual unit's input
    channels as hidden units; inside they are the paper's: ReLU, then sigmoid.
    """
    assert architecture == ARCHITECTURE
    model = efficientnet_b0(
        num_classes=num_classes,
        stochastic_depth_prob=0.0,
        norm_layer=partial(nn.BatchNorm2d, eps=1e-3),
    )
    for parent in list(model.modules()):
        if isinstance(parent, SqueezeExcitation):
            parent.activation = nn.ReLU()
            continue
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.SiLU):
                setattr(parent, name, nn.ReLU6(inplace=True))
            elif isinstance(child, nn.Conv2d) and child.stride == (2, 2):
                setattr(parent, name, _padded_late(child))
    return model


def _padded_late(convolution: nn.Conv2d) -> nn.Sequential:
    """Pad as TensorFlow does, where the weights were trained: the odd row and column come last."""
    total = convolution.kernel_size[0] - 2
    convolution.padding = (0, 0)
    before, after = total // 2, total - total // 2
    return nn.Sequential(nn.ZeroPad2d((before, after, before, after)), convolution)
