"""Networks whose inputs are no photos, and files for them."""

from io import BytesIO

import numpy as np
from scipy.io import wavfile
from torch import Tensor, nn

NET = '''"""Networks of signals, spectrograms and volumes, with SE blocks written by hand."""

import torch
from torch import nn


class Recalibrate(nn.Module):
    def __init__(self, channels, reduction=4):
        super().__init__()
        self.fc1 = nn.Linear(channels, channels // reduction)
        self.fc2 = nn.Linear(channels // reduction, channels)

    def forward(self, x):
        gate = torch.sigmoid(self.fc2(torch.relu(self.fc1(x.flatten(2).mean(2)))))
        return x * gate.reshape(*gate.shape, *[1] * (x.ndim - 2))


def make(sides, channels, stride=2):
    torch.manual_seed(0)
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[sides - 1]
    pool = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[sides - 1]
    layers = [conv(channels, 12, 3, stride, 1), nn.ReLU(), Recalibrate(12)]
    layers += [conv(12, 24, 3, stride, 1), nn.ReLU(), Recalibrate(24)]
    return nn.Sequential(*layers, pool(1), nn.Flatten(), nn.Linear(24, 4))


def signal():
    return make(1, 1, stride=4)


def mel():
    return make(2, 1)


def bands():
    return make(2, 5)


def volume():
    return make(3, 1)
'''
"""A file of code."""


class TimeFirst(nn.Module):
    """What makes (batch, channels, time) of (batch, time, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Turn both dimensions."""
        return x.transpose(1, 2)


KINDS = {
    "signal": ("waveform", (1, 600)),
    "mel": ("log-mel", (1, 32, 48)),
    "bands": ("channels", (5, 24, 32)),
    "volume": ("array", (1, 6, 10, 12)),
}
"""For the name of each callable the way its inputs are made, and their shape."""


def list_networks_in_toml() -> str:
    """Return a list of them all for se_viz.toml; the code is in net.py."""
    return "\n".join(
        f'[networks.{name}]\nmake = "net.py:{name}"\npreprocess = "{way}"\n'
        f'input = "{"x".join(map(str, shape))}"\ntitle = "My {name}"\n'
        for name, (way, shape) in KINDS.items()
    )


def wav(hertz: float = 440.0, rate: int = 16_000, seconds: float = 0.5) -> bytes:
    """Return a WAV file of a tone that fades."""
    times = np.arange(int(rate * seconds)) / rate
    file = BytesIO()
    tone = 0.5 * np.sin(2 * np.pi * hertz * times) * np.exp(-3 * times)
    wavfile.write(file, rate, tone.astype(np.float32))
    return file.getvalue()


def npy(values: np.ndarray) -> bytes:
    """Return an array as `numpy.save` writes it."""
    file = BytesIO()
    np.save(file, values)
    return file.getvalue()


def file_for(name: str, seed: int = 0) -> tuple[str, bytes]:
    """Return the name and the content of a file that a network of ``KINDS`` takes."""
    way, shape = KINDS[name]
    if way in ("waveform", "log-mel"):
        return f"tone{seed}.wav", wav(400.0 + 300 * seed)
    values = np.random.default_rng(seed).standard_normal(shape)
    return f"values{seed}.npy", npy(values.astype(np.float32))
