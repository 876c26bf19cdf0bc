"""WAV files as samples and as mel spectrograms.

They are read by SciPy, which every installation has: unlike Python's own `wave` it knows samples of
floating point and 24 bits, and torchaudio would be one more package of the size of PyTorch's.
"""

import math
import warnings
from io import BytesIO

import numpy as np
import torch
from jaxtyping import Float
from scipy.io import wavfile
from scipy.signal import resample_poly
from torch import Tensor

from se_viz.errors import InputError


def read_wave(file: BytesIO, rate: int = 0) -> tuple[Float[Tensor, "samples"], int]:
    """Return the samples of a WAV file, the mean of its channels, and how many a second has.

    Samples are from -1 to 1. With ``rate`` they are resampled to so many a second.

    Raises:
        InputError: it is no WAV file, or holds no sound.
    """
    try:
        with warnings.catch_warnings():
            # Of chunks that players pass over too: tags, cue points.
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            own_rate, values = wavfile.read(file)
    except Exception as error:
        # What it raises for a file that somebody else has written may be anything.
        raise InputError(
            "The file is no WAV file that can be read. Export it as WAV, with samples of 16 bits."
        ) from error
    if not len(values) or own_rate < 1:
        raise InputError("The file holds no sound. Choose another one.")
    samples = _scaled(values)
    samples = samples.mean(axis=1) if samples.ndim == 2 else samples
    if rate and rate != own_rate:
        common = math.gcd(rate, own_rate)
        samples = resample_poly(samples, rate // common, own_rate // common)
    if not np.isfinite(samples).all():
        raise InputError("The file holds samples that are no numbers. Export it again.")
    return torch.from_numpy(samples.astype(np.float32)), rate or own_rate


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


def _scaled(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:
        return (values.astype(np.float64) - 128) / 128
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float64) / -float(np.iinfo(values.dtype).min)
    return values.astype(np.float64)
