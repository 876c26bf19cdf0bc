"""Bytes to a safe, upright RGB image, and the sample images; the only code that decodes user files."""

import json
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, features

from se_viz.errors import ImageError

MAX_BYTES = 20 * 2**20
"""Largest file that is read."""
MAX_PIXELS = 50_000_000
"""Largest image that is decoded; checked in the header, before any pixel is allocated."""
MAX_ASPECT = 20
"""Longest side over shortest side."""

EXTENSIONS = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", *(["avif"] if features.check("avif") else []))
"""File name endings of the formats that are read."""

_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "GIF", "TIFF", *(["AVIF"] if features.check("avif") else []))
_SAMPLES = Path(__file__).parent / "samples"
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# What Pillow's decoders raise on damaged files.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


@dataclass(frozen=True, slots=True)
class Sample:
    """An image that comes with se_viz."""

    name: str
    """Stem of its file."""
    title: str
    """What it shows."""
    credit: str
    """Who made it, and under which licence."""
    path: Path
    """Where it lies."""


def open_image(source: bytes | str | Path) -> Image.Image:
    """Open a file, or its bytes, as an upright RGB image of its full size.

    EXIF orientation is applied, transparency is laid over white, 16-bit values are scaled to 8 bits and
    animations give their first frame.

    Raises:
        ImageError: the file is missing, empty, too large, damaged, or no image of a known format.
    """
    content = source if isinstance(source, bytes) else _read(Path(source))
    _check_length(len(content))
    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as opened:
            _check_size(*opened.size)
            opened.load()
            return _flatten(ImageOps.exif_transpose(opened))
    except ImageError:
        raise
    except _BOMB as error:
        raise _too_many_pixels() from error
    except Image.UnidentifiedImageError as error:
        kinds = ", ".join(_FORMATS[:1] + _FORMATS[2:])
        raise ImageError(f"This is not an image se_viz can read ({kinds}). Save it as JPEG or PNG.") from error
    except _DAMAGED as error:
        raise ImageError("The image file is damaged or cut short. Export or download it again.") from error


def centre_square(image: Image.Image, side: int) -> Image.Image:
    """Scale the shorter side to ``side`` pixels and cut out the centre: what the network sees."""
    return ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)


def list_samples() -> tuple[Sample, ...]:
    """Return the images that come with se_viz."""
    rows = json.loads((_SAMPLES / "samples.json").read_text(encoding="utf-8"))
    return tuple(Sample(**row, path=_SAMPLES / f"{row['name']}.jpg") for row in rows)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise ImageError(f"There is no file {path}. Check the name.")
    _check_length(path.stat().st_size)
    return path.read_bytes()


def _check_length(length: int) -> None:
    if not length:
        raise ImageError("The file is empty. Choose another one.")
    if length > MAX_BYTES:
        raise ImageError(
            f"The file has {length / 2**20:.1f} MB; {MAX_BYTES // 2**20} MB is the most se_viz reads. "
            "Save a smaller copy."
        )


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(width, height)
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"The image is {width} x {height} pixels, longer than {MAX_ASPECT} to 1: hardly any of it would reach the "
            "network. Crop it closer to a square."
        )


def _too_many_pixels(width: int = 0, height: int = 0) -> ImageError:
    size = f"{width} x {height} = {width * height / 1e6:.0f} megapixels" if width else "far too many pixels"
    return ImageError(f"The image has {size}; {MAX_PIXELS // 10**6} megapixels is the most. Save a smaller copy.")


def _flatten(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(white, rgba)
    return image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    if image.mode.startswith("I;16") or (image.mode == "I" and values.min() >= 0 and values.max() <= 65535):
        scaled = values / 257
    else:
        # 32-bit values have no agreed white: stretch what is there.
        low, high = np.nanmin(values), np.nanmax(values)
        scaled = (values - low) * (255 / max(high - low, 1e-12))
    return Image.fromarray(np.nan_to_num(scaled).round().clip(0, 255).astype(np.uint8))
