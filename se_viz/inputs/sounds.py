"""Sound as a network takes it: samples of a length, and mel spectrograms."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def fit_length(samples: Float[Tensor, "samples"], length: int) -> Float[Tensor, "length"]:
    """Return the middle of a sound, or the sound with silence on both sides."""
    extra = length - len(samples)
    if extra <= 0:
        start = -extra // 2
        return samples[start : start + length]
    return torch.nn.functional.pad(samples, (extra // 2, extra - extra // 2))


def log_mel(
    samples: Float[Tensor, "samples"], rate: int, bands: int, options: dict[str, float]
) -> Float[Tensor, "bands frames"]:
    """Return the natural logarithm of the power in each mel band: HTK's scale, Hann windows.

    A frame is centred at every ``hop``-th sample; ``floor`` is added to the power.
    """
    window = int(options["window"])
    spectrum = torch.stft(
        samples,
        window,
        int(options["hop"]),
        window=torch.hann_window(window),
        pad_mode="reflect" if len(samples) > window // 2 else "constant",
        return_complex=True,
    )
    power = spectrum.abs() ** 2
    bank = mel_bank(power.shape[0], bands, rate, options["low"], options["high"] or rate / 2)
    return torch.log(bank @ power + options["floor"])


def mel_bank(
    lines: int, bands: int, rate: int, low: float, high: float
) -> Float[Tensor, "bands lines"]:
    """Return triangles of height 1 that are evenly spaced on HTK's mel scale."""
    edges = torch.linspace(_to_mel(low), _to_mel(high), bands + 2, dtype=torch.float64)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    lines_at = torch.linspace(0, rate // 2, lines, dtype=torch.float64)
    slopes = hertz[:, None] - lines_at
    widths = hertz.diff()[:, None]
    down = -slopes[:-2] / widths[:-1]
    up = slopes[2:] / widths[1:]
    return torch.minimum(down, up).clamp(min=0).float()


def _to_mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)
