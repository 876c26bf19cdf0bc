"""The ready ways themselves: each makes of an open file one input of a shape."""

from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from se_viz.errors import InputError, NetworkError
from se_viz.images import open_image
from se_viz.inputs.names import FITS, read_way
from se_viz.inputs.reading import read_array, read_wave
from se_viz.inputs.sounds import fit_length, log_mel

Preprocess: TypeAlias = Callable[[BytesIO], Any]
"""Takes an open file, and returns one input: channels first, without a batch."""
_Shape: TypeAlias = tuple[int, ...]
_Input: TypeAlias = Float[Tensor, "channels *sides"]


def build_way(text: str, shape: _Shape) -> Preprocess:
    """Return a ready way by its name and options, for inputs of a shape.

    Raises:
        NetworkError: there is no such way, or it makes no inputs of this shape.
    """
    name, options = read_way(text)
    fits, needed = FITS[name]
    if not fits(shape):
        raise NetworkError(
            f"{name} makes inputs of {needed}, and the network takes {show_shape(shape)}. Name "
            "another input or another way."
        )
    return partial(_WAYS[name], shape=shape, options=options)


def show_shape(shape: _Shape) -> str:
    """Return a shape as it is written: 1x64x500."""
    return "x".join(map(str, shape))


def _grey(file: BytesIO, *, shape: _Shape, options: dict[str, float]) -> _Input:
    image = open_image(file.read()).convert("L")
    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32).copy())[None] / 255
    return _fit(pixels, shape)


def _channels(file: BytesIO, *, shape: _Shape, options: dict[str, float]) -> _Input:
    content = file.read()
    if content[:6] == b"\x93NUMPY":
        file.seek(0)
        values = read_array(file)
    else:
        values = _read_image(content)
    if values.ndim == 2:
        values = values[None]
    if values.ndim == 3 and len(values) != shape[0] and values.shape[-1] == shape[0]:
        values = np.moveaxis(values, -1, 0)
    if values.ndim != 3 or len(values) != shape[0]:
        raise InputError(
            f"The file has the shape {show_shape(values.shape)}, and the network takes "
            f"{shape[0]} channels. Choose a file of so many."
        )
    return _fit(_scale(values), shape)


def _read_image(content: bytes) -> np.ndarray:
    # Only its three colours are read of an image file; others travel as arrays.
    return np.moveaxis(np.asarray(open_image(content)), -1, 0)


def _log_mel(file: BytesIO, *, shape: _Shape, options: dict[str, float]) -> _Input:
    rate = int(options["rate"])
    samples, rate = read_wave(file, rate)
    samples = torch.from_numpy(samples.copy())
    bands, frames = shape[-2:]
    # So many samples have so many frames: there is one at either end.
    sound = fit_length(samples, max(1, (frames - 1) * int(options["hop"])))
    return log_mel(sound, rate, bands, options).reshape(shape)


def _waveform(file: BytesIO, *, shape: _Shape, options: dict[str, float]) -> _Input:
    samples, _ = read_wave(file, int(options["rate"]))
    return fit_length(torch.from_numpy(samples.copy()), shape[-1]).reshape(shape)


def _array(file: BytesIO, *, shape: _Shape, options: dict[str, float]) -> _Input:
    values = read_array(file)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _scale(values: np.ndarray) -> Float[Tensor, "channels height width"]:
    """Return whole numbers from 0 to 1, and others as they are."""
    whole = np.issubdtype(values.dtype, np.unsignedinteger)
    most = float(np.iinfo(values.dtype).max) if whole else 1.0
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32) / most)


def _fit(pixels: Float[Tensor, "channels height width"], shape: _Shape) -> _Input:
    """Scale the shorter side, and cut the centre, as photos are."""
    height, width = shape[-2:]
    factor = max(height / pixels.shape[1], width / pixels.shape[2])
    size = [
        max(height, round(pixels.shape[1] * factor)),
        max(width, round(pixels.shape[2] * factor)),
    ]
    scaled = F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return scaled[:, top : top + height, left : left + width]


_WAYS: dict[str, Callable[..., _Input]] = {
    "grey": _grey,
    "channels": _channels,
    "log-mel": _log_mel,
    "waveform": _waveform,
    "array": _array,
}
"""What makes an input. `rgb` is the network's own."""
