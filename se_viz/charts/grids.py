"""Inputs and maps of any shape as flat grids: spectrograms as they are, signals as strips, volumes
as sheets of slices.
"""

from math import ceil, sqrt

import numpy as np
from PIL import Image, ImageDraw

_LONGEST = 512
"""Cells of the longest side of a grid."""
_FLATTEST = 4
"""How many times as long as high a grid may be."""
_SLICES = 16
"""The most slices of a volume on a sheet."""
_LEAST = 256
"""Pixels of a picture's longer side."""
_INK, _GROUND = 40, 235


def spread(values: np.ndarray) -> np.ndarray:
    """Lay values of any number of sides out as a grid, (rows, columns).

    Those of a photo stay as they are. A signal becomes a strip whose columns are the means of equal
    pieces; a volume a sheet of up to 16 slices, first slice at the top left.
    """
    if values.ndim == 2 and max(values.shape) <= _FLATTEST * min(values.shape):
        return values
    if values.ndim == 1:
        return np.repeat(_shorten(values[None]), _rows(len(values)), axis=0)
    grid = _sheet(values) if values.ndim == 3 else values
    grid = _shorten(_shorten(grid).T).T
    rows, columns = grid.shape
    grid = np.repeat(grid, max(1, ceil(columns / (_FLATTEST * rows))), axis=0)
    return np.repeat(grid, max(1, ceil(rows / (_FLATTEST * columns))), axis=1)


def depict(inputs: np.ndarray) -> Image.Image:
    """Return a picture of one input, (channels, *sides), on the grid of `spread`.

    A signal is drawn as its curve; of others the mean over channels is grey, from its lowest value,
    dark, to its highest.
    """
    if inputs.ndim == 2:
        return _curve(inputs)
    grid = spread(inputs.mean(0))
    low, high = float(grid.min()), float(grid.max())
    grey = np.round(255 * (grid - low) / (high - low or 1.0)).astype(np.uint8)
    return magnify(Image.fromarray(grey).convert("RGB"))


def magnify(picture: Image.Image) -> Image.Image:
    """Return a small picture larger, cell by cell, so that a browser does not blur it."""
    times = ceil(_LEAST / max(picture.size))
    size = picture.width * times, picture.height * times
    return picture.resize(size, Image.Resampling.NEAREST) if times > 1 else picture


def _rows(length: int) -> int:
    return max(1, min(length, _LONGEST) // _FLATTEST)


def _shorten(grid: np.ndarray) -> np.ndarray:
    """Return a grid of at most `_LONGEST` columns, each the mean of equally many."""
    columns = grid.shape[1]
    if columns <= _LONGEST:
        return grid
    edges = np.arange(_LONGEST) * columns // _LONGEST
    sums = np.add.reduceat(grid.astype(np.float64), edges, axis=1)
    return sums / np.diff(edges, append=columns)


def _sheet(volume: np.ndarray) -> np.ndarray:
    count = min(len(volume), _SLICES)
    slices = volume[[round(at * (len(volume) - 1) / max(1, count - 1)) for at in range(count)]]
    across = ceil(sqrt(count))
    down = ceil(count / across)
    blank = np.zeros((down * across - count, *volume.shape[1:]), volume.dtype)
    tiles = np.concatenate([slices, blank]).reshape(down, across, *volume.shape[1:])
    return tiles.transpose(0, 2, 1, 3).reshape(down * volume.shape[1], across * volume.shape[2])


def _curve(signals: np.ndarray) -> Image.Image:
    """Draw each channel of a signal between its least and greatest values, piece by piece."""
    length = signals.shape[1]
    width, height = min(length, _LONGEST), _rows(length)
    times = ceil(_LEAST / width)
    picture = Image.new("RGB", (width * times, height * times), (_GROUND,) * 3)
    pen = ImageDraw.Draw(picture)
    reach = float(np.abs(signals).max()) or 1.0
    edges = np.arange(width) * length // width
    for values in signals:
        lows, highs = (of.reduceat(values, edges) for of in (np.minimum, np.maximum))
        # Each piece reaches to where the next one begins: no gaps in a steep curve.
        lows = np.minimum(lows, np.append(highs[1:], np.inf))
        highs = np.maximum(highs, np.append(lows[1:], -np.inf))
        tops, bottoms = (
            (0.5 - 0.46 * ends / reach) * (picture.height - 1) for ends in (highs, lows)
        )
        for column, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
            place = column * times
            pen.rectangle([place, top, place + times - 1, max(bottom, top + 1)], fill=(_INK,) * 3)
    return picture
