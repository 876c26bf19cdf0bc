"""Code of somebody who has written a network, as it lies in a folder of theirs."""

from pathlib import Path

NET = '''"""A network of two SE blocks, five classes, and what goes wrong around it."""

import torch
from torch import nn
from torchvision.ops import SqueezeExcitation


def make(classes=5):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, 2), SqueezeExcitation(16, 4)]
    layers += [nn.Conv2d(16, 32, 3, 2), SqueezeExcitation(32, 8)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes))


class Zoo:
    @staticmethod
    def small():
        return make()


def network():
    from se_viz import Network

    return Network.from_model(make(2), classes=("ant", "bee"), input_size=48)


def needy(width):
    return make(width)


def broken():
    raise ValueError("the weights\\n are lost")


def deep():
    return torch.zeros(2, 3) @ torch.zeros(2, 3)


def ends():
    raise SystemExit(3)


def wrong():
    return "a network"


def plain():
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


model = make()
number = 7
'''
"""A file of such code."""


def write_net(folder: Path, name: str = "net.py", text: str = NET) -> Path:
    """Write a file of code, and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
