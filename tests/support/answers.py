"""Small networks whose answers are no logits of classes, as somebody writes them in a file."""

from types import ModuleType

CODE = '''
"""A segmenter, detectors, an embedding and a regression, each with SE blocks; none is trained."""

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.ops import MultiScaleRoIAlign, SqueezeExcitation


def randomise(model, scale=1.0):
    """Give norms statistics, and all weights enough to matter, so that images differ."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, 0, 0.1)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            module.weight.data.mul_(scale)
    return model.eval()


def stage(before, after):
    convolution = nn.Conv2d(before, after, 3, 2, 1, bias=False)
    return nn.Sequential(
        convolution, nn.BatchNorm2d(after), nn.ReLU(), SqueezeExcitation(after, after // 4)
    )


def encoder():
    torch.manual_seed(0)
    return nn.Sequential(stage(3, 16), stage(16, 32))


class Segmenter(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.encoder = encoder()
        self.head = nn.Conv2d(32, classes, 1)

    def forward(self, x):
        maps = self.head(self.encoder(x))
        return {"out": F.interpolate(maps, x.shape[-2:], mode="bilinear")}


def segmenter():
    return randomise(Segmenter())


def mask():
    return randomise(Segmenter(1))


class Backbone(nn.Module):
    out_channels = 32

    def __init__(self):
        super().__init__()
        self.encoder = encoder()

    def forward(self, x):
        return self.encoder(x)


def ssd(size=64):
    backbone = Backbone()
    # torchvision's SSD wants a width for each of its maps.
    backbone.out_channels = [32]
    anchors = DefaultBoxGenerator([[2]], scales=[0.3, 0.6], steps=None)
    model = SSD(backbone, anchors, (size, size), 4, score_thresh=0.0)
    return randomise(model, 0.7)


def rcnn(size=64):
    anchors = AnchorGenerator(((8, 16, 32),), ((0.5, 1.0, 2.0),))
    model = FasterRCNN(
        Backbone(),
        4,
        min_size=size,
        max_size=size,
        rpn_anchor_generator=anchors,
        box_roi_pool=MultiScaleRoIAlign(["0"], 3, 2),
        box_score_thresh=0.0,
        rpn_post_nms_top_n_test=30,
    )
    return randomise(model, 0.7)


class Listed(nn.Module):
    """A detector that nobody knows: one box an image, none where it is dark."""

    def __init__(self):
        super().__init__()
        self.encoder = encoder()
        self.head = nn.Linear(32, 1)

    def forward(self, images):
        return [self.find(image[None]) for image in images]

    def find(self, image):
        score = self.head(self.encoder(image).mean((2, 3))).sigmoid()[:, 0]
        some = score[: int(image.mean() > 0)]
        boxes = torch.tensor([[8.0, 8.0, 32.0, 32.0]])[: len(some)]
        return {"boxes": boxes, "labels": torch.tensor([2])[: len(some)], "scores": some}


def listed():
    return randomise(Listed())


def embedder():
    return randomise(
        nn.Sequential(*encoder(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 8))
    )


def regression():
    return randomise(
        nn.Sequential(*encoder(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 1))
    )


class Wrapped(nn.Module):
    """A model of a library that returns an object."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return [self.inner(x)["out"]]


def wrapped():
    return Wrapped(segmenter())


def pick(answer):
    return answer[0]


def areas(answer):
    """Return how many pixels each class has, softly."""
    return answer["out"].softmax(1).sum((2, 3))


def broken(answer):
    raise KeyError("lost")
'''
"""A file of such code."""


def load_code() -> ModuleType:
    """Return the file's functions."""
    module = ModuleType("answers")
    exec(CODE, module.__dict__)
    return module
