"""A rectangle around the part of a photo that an answer is read at."""

from typing import Any

from PIL import Image, ImageDraw

from se_viz.charts.palettes import Palette

_WIDTH = 160
"""Pixels of a photo's side for each pixel of the line."""


def frame_photo(
    photo: Image.Image, region: tuple[float, float, float, float], palette: Palette
) -> Image.Image:
    """Return a photo with a rectangle drawn on it: in the accent's colour, on white.

    ``region`` is left, top, right and bottom as shares of the photo.
    """
    framed = photo.convert("RGB").copy()
    line = max(1, min(photo.size) // _WIDTH)
    left, right = (round(side * (photo.width - 1)) for side in region[::2])
    top, bottom = (round(side * (photo.height - 1)) for side in region[1::2])
    draw = ImageDraw.Draw(framed)
    # Two lines: one colour alone would be lost on a part of some photo.
    draw.rectangle((left, top, right, bottom), outline="white", width=3 * line)
    ends = max(left + line, right - line), max(top + line, bottom - line)
    draw.rectangle((left + line, top + line, *ends), outline=palette.accent, width=line)
    return framed


def frame_shape(
    region: tuple[float, float, float, float], width: int, height: int, palette: Palette
) -> dict[str, Any]:
    """Return the same rectangle as a shape of Plotly's, over a map of this size."""
    left, top, right, bottom = region
    return {
        "type": "rect",
        "x0": left * width - 0.5,
        "x1": right * width - 0.5,
        "y0": top * height - 0.5,
        "y1": bottom * height - 0.5,
        "line": {"color": palette.accent, "width": 2},
    }
