"""Maps of several methods over one photo as pictures: quick to paint, and drawn on their own or on
one scale.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageColor

from se_viz.charts.grids import spread
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import CODE_RANGE, Span, coded_scale, encode, fit_span

SIGNS = {"both": "Both", "for": "For", "against": "Against", "size": "Size"}
"""Which values are drawn: all, those that speak for the class, those against it, or magnitudes."""

_GREY = 128


@dataclass(frozen=True, slots=True)
class Map:
    """What one method found."""

    values: np.ndarray
    """(height, width), or the sides of another input."""
    signed: bool
    """Whether negative values mean something."""


def take_sign(attribution: Map, sign: str) -> Map:
    """Keep one of ``SIGNS`` of a map.

    *for* and *against* leave out the other half, and colours keep their meaning.
    """
    values = {
        "both": attribution.values,
        "for": attribution.values.clip(min=0),
        "against": attribution.values.clip(max=0),
        "size": np.abs(attribution.values),
    }[sign]
    return Map(values, attribution.signed and sign != "size")


def fit_reach(maps: Iterable[Map]) -> float:
    """Return the magnitude up to which colours reach, for one map or for several on one scale."""
    return fit_span(
        np.concatenate([attribution.values.ravel() for attribution in maps]), signed=True
    ).high


def paint_map(
    photo: Image.Image, attribution: Map, palette: Palette, *, reach: float, opacity: float
) -> Image.Image:
    """Lay a map over the photo of the same size, in grey so that only the map has colour.

    The colours are those of `draw_overlay`: clear at 0, and one of its own for what lies beyond
    ``reach``. ``opacity`` runs from 0 (photo only) to 1.
    """
    values = spread(attribution.values)
    # From 0, as an index into the list of colours.
    codes = (
        encode(values, Span(-reach if attribution.signed else 0.0, reach)).astype(int)
        - CODE_RANGE[0]
    )
    # The picture of another input may have several pixels a cell.
    times = max(1, photo.height // len(values))
    layer = _colours(palette, signed=attribution.signed)[codes]
    return _blend(
        np.asarray(photo.convert("L"))[..., None],
        layer.repeat(times, axis=0).repeat(times, axis=1),
        opacity,
    )


def paint_scale(palette: Palette, *, signed: bool, opacity: float) -> Image.Image:
    """Return the colours from the lowest value to the highest, over the grey of a photo."""
    strip = _colours(palette, signed=signed)[None, 1:-1].repeat(14, axis=0)
    return _blend(np.full((1, 1, 1), _GREY), strip, opacity)


def _blend(ground: np.ndarray, layer: np.ndarray, opacity: float) -> Image.Image:
    share = layer[..., 3:] * opacity
    return Image.fromarray(np.round(ground * (1 - share) + layer[..., :3] * share).astype(np.uint8))


def _colours(palette: Palette, *, signed: bool) -> np.ndarray:
    """Return red, green, blue (0 to 255) and opacity (0 to 1) of every code, from the lowest."""
    places, colours = zip(
        *coded_scale(palette.veil if signed else palette.glow, palette), strict=True
    )
    low, high = CODE_RANGE
    codes = np.linspace(0, 1, high - low + 1)
    return np.stack(
        [
            np.interp(codes, places, part)
            for part in np.transpose([_parse(colour) for colour in colours])
        ],
        axis=1,
    )


def _parse(colour: str) -> tuple[float, ...]:
    if colour.startswith("#"):
        return (*map(float, ImageColor.getrgb(colour)), 1.0)
    return tuple(map(float, re.findall(r"[\d.]+", colour)))
