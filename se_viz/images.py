"""Bytes to a safe, upright RGB image, and the sample images; the only code that decodes user files."""

import json
import re
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Num, UInt8
from PIL import ExifTags, Image, ImageOps, features

from se_viz.errors import ImageError

MAX_BYTES = 20 * 2**20
"""Largest file that is read."""
MAX_PIXELS = 50_000_000
"""Largest image that is decoded; checked in the header, before any pixel is allocated."""
MAX_ASPECT = 20
"""Longest side over shortest side."""

EXTENSIONS = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", *(["avif"] if features.check("avif") else []))
"""File name endings of the formats that are read."""

# How files of each format begin, by Pillow's name for it.
_FORMATS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG",
    "WEBP": rb"RIFF.{4}WEBP",
    "BMP": rb"BM.{4}\0{4}",
    "GIF": rb"GIF8",
    "TIFF": rb"II\*\0|MM\0\*",
    **({"AVIF": rb".{4}ftypavi[fs]"} if features.check("avif") else {}),
}
_KNOWN_START = re.compile(b"|".join(_FORMATS.values()), re.DOTALL)
# What undoes each EXIF orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SAMPLES = Path(__file__).parent / "samples"
# What Pillow's decoders raise on damaged files.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, RuntimeError, struct.error, zlib.error)


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

    EXIF orientation is applied, transparency is laid over white, 16-bit values are scaled to 8 bits, 32-bit
    values are stretched from black to white, and animations give their first frame. Nothing else the file
    says, such as where a photo was taken, stays with the image.

    Raises:
        ImageError: the file is missing, empty, too large, damaged, or no image of a known format.
    """
    content = source if isinstance(source, bytes) else _read(Path(source))
    _check_length(len(content))
    image = _decode(content)
    image.info.clear()
    return image


def centre_square(image: Image.Image, side: int) -> Image.Image:
    """Scale the shorter side to ``side`` pixels and cut out the centre: what the network sees."""
    return ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)


def list_samples() -> tuple[Sample, ...]:
    """Return the images that come with se_viz."""
    rows = json.loads((_SAMPLES / "samples.json").read_text(encoding="utf-8"))
    return tuple(Sample(**row, path=_SAMPLES / f"{row['name']}.jpg") for row in rows)


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Return each path once, and for a folder the images in it and its subfolders; without any path, the samples.

    Raises:
        ImageError: a folder holds no file that is named like an image.
    """
    if not paths:
        return [sample.path for sample in list_samples()]
    return list(dict.fromkeys(file for path in paths for file in (_images_in(path) if path.is_dir() else [path])))


def _images_in(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower().removeprefix(".") in EXTENSIONS)
    if not files:
        raise ImageError(f"{folder} holds no image ({', '.join(EXTENSIONS)}). Name a folder with images in it.")
    return files


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder. Name an image in it.")
        if not path.is_file():
            raise ImageError(f"There is no file {path}. Check the name.")
        _check_length(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}. Check the name and who may read it.") from error


def _check_length(length: int) -> None:
    if not length:
        raise ImageError("The file is empty. Choose another one.")
    if length > MAX_BYTES:
        raise ImageError(
            f"The file has {length / 2**20:.1f} MB, more than the {MAX_BYTES // 2**20} MB that se_viz reads. "
            "Save a smaller copy."
        )


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(f"{width} x {height} pixels, ")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"The image is {width} x {height} pixels, longer than {MAX_ASPECT} to 1: hardly any of it would reach the "
            "network. Crop it closer to a square."
        )


def _too_many_pixels(size: str = "") -> ImageError:
    return ImageError(
        f"The image has {size}more than the {MAX_PIXELS // 10**6} megapixels that se_viz reads. Save a smaller copy."
    )


def _decode(content: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # They are about odd metadata, which no user can mend, and the size, which is checked here.
            warnings.simplefilter("ignore")
            image = Image.open(BytesIO(content), formats=tuple(_FORMATS))
            _check_size(*image.size)
            image.load()
            image = _upright(image)
            return _flatten(image)
    except ImageError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise _too_many_pixels() from error
    except _DAMAGED as error:
        if not _KNOWN_START.match(content):
            raise ImageError(
                f"This is not an image se_viz can read ({', '.join(_FORMATS)}). Save it as JPEG or PNG."
            ) from error
        raise ImageError("The image file is damaged or cut short. Export or download it again.") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGED:
        # Notes that cannot be read are no reason to refuse the pixels.
        turn = None
    return image if turn is None else image.transpose(turn)


def _flatten(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _to_eight_bits(image).convert("RGB")
    if image.has_transparency_data:
        return _over_white(image if image.mode == "RGBA" else image.convert("RGBA"))
    # Also for RGB: the copy is a plain image, without the file behind it.
    return image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    cover = ImageOps.invert(image.getchannel("A"))
    image = image.convert("RGB")
    image.paste("white", mask=cover)
    return image


def _to_eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        scaled = ((np.arange(65536) + 128) // 257).astype(np.uint8)[values]
    else:
        scaled = _stretch(values.astype(np.float64))
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        scaled[values == hidden] = 255
    return Image.fromarray(scaled)


def _stretch(values: Num[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    # 32-bit values have no agreed white: the least becomes black, the greatest white.
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    np.nan_to_num(values, copy=False, nan=low, posinf=high, neginf=low)
    values -= low
    values *= 255 / ((high - low) or 1.0)
    return values.round().astype(np.uint8)
