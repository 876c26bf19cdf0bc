"""Networks without SE blocks, and one with some beside them, as somebody lists them in a folder."""

from pathlib import Path

CODE = '''"""A plain network of torchvision, and a toy with SE blocks and without."""

import torch
import torchvision
from torch import nn
from torchvision.ops import SqueezeExcitation


def plain(classes=3):
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=classes)


def network():
    from se_viz import Network

    return Network.from_model(plain(), classes=("a", "b", "c"), input_size=64, plain=True)


def stages(width):
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, width, 3, 2), nn.Conv2d(width, 2 * width, 3, 2)
    ends = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 5)]
    return first, second, ends


def toy():
    first, second, ends = stages(16)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), *ends)


def se_toy():
    first, second, ends = stages(16)
    blocks = SqueezeExcitation(16, 4), SqueezeExcitation(32, 8)
    return nn.Sequential(first, nn.ReLU(), blocks[0], second, nn.ReLU(), blocks[1], *ends)
'''
"""A file of code."""
TOML = """
[networks.resnet]
make = "net.py:plain"
input = 64
title = "Plain ResNet"

[networks.toy]
make = "net.py:toy"
input = 64
labels = "labels.txt"
title = "Toy"

[networks.se_toy]
make = "net.py:se_toy"
input = 64
labels = "labels.txt"
title = "SE toy"
"""
LABELS = ("ant", "bee", "cat", "dog", "elk")


def write_plain(folder: Path) -> None:
    """Write the code, and a list that names what it makes."""
    (folder / "net.py").write_text(CODE, encoding="utf-8")
    (folder / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    (folder / "se_viz.toml").write_text(TOML, encoding="utf-8")
