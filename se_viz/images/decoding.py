"""Bytes to upright pixels by Pillow; imports nothing heavy, because children begin with it."""

import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from PIL import ExifTags, Image, ImageOps

from se_viz.errors import ImageError
from se_viz.images.formats import (
    FORMATS,
    MAX_SCANS,
    count_scans,
    is_known_start,
    name_unread_kind,
    webp_size,
)
from se_viz.images.tiffs import name_misread_tiff

MAX_PIXELS = 50_000_000
"""Largest image that is decoded; checked in the header, before any pixel is allocated."""
MAX_ASPECT = 20
"""Longest side over shortest side."""

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
# What Pillow's decoders raise on damaged files.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    RuntimeError,
    struct.error,
    zlib.error,
)
_BAND = 2**18
"""Pixels that are converted at a time: only one whole image is held beside the one that is made of
it."""


def decode(content: bytes) -> Image.Image:
    """Decode a file to an upright image, in the mode that the file has.

    Raises:
        ImageError: it is too large, damaged, or no image of a known format.
    """
    with warnings.catch_warnings():
        # They are about odd metadata, which no user can mend, and the size, which is checked here.
        warnings.simplefilter("ignore")
        try:
            return _upright(_load(_open(content), content))
        except MemoryError as error:
            raise ImageError(TOO_MUCH_MEMORY) from error


TOO_MUCH_MEMORY = "The image takes too much memory to decode. Save a smaller copy, as JPEG or PNG."
"""What is said of a file whose decoder asks for more than it may have."""


def paint(size: tuple[int, int], bands: Iterable[Image.Image]) -> Image.Image:
    """Return the image that bands of whole rows make, from the first row on."""
    image = Image.new("RGB", size)
    row = 0
    for band in bands:
        image.paste(band, (0, row))
        row += band.height
    return image


def centre_square(image: Image.Image, side: int) -> Image.Image:
    """Scale the shorter side to ``side`` pixels and cut out the centre: what the network sees."""
    return ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)


def is_flat(image: Image.Image) -> bool:
    """Return whether an image is what `flatten` would make of it."""
    return image.mode == "RGB" and not image.has_transparency_data


def flatten(image: Image.Image) -> Iterator[Image.Image]:
    """Yield an image as bands of whole RGB rows: transparency over white, 16 and 32 bits scaled to
    8.
    """
    low, high = _range(image) if image.mode in ("I", "F") else (0.0, 0.0)
    for band in _bands(image):
        if image.mode.startswith("I") or image.mode == "F":
            yield _to_eight_bits(band, low, high).convert("RGB")
        elif image.has_transparency_data:
            yield _over_white(band if image.mode == "RGBA" else band.convert("RGBA"))
        else:
            yield band.convert("RGB")


def _bands(image: Image.Image) -> Iterator[Image.Image]:
    rows = max(1, _BAND // image.width)
    for row in range(0, image.height, rows):
        yield image.crop((0, row, image.width, min(row + rows, image.height)))


def _open(content: bytes) -> Image.Image:
    try:
        if size := webp_size(content):
            _check_size(*size)
        image = Image.open(BytesIO(content), formats=(*FORMATS, "DIB"))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many_pixels() from error
    except _DAMAGED as error:
        raise _refusal(content, error, has_header=False) from error
    _check_size(*image.size)
    return image


def _load(image: Image.Image, content: bytes) -> Image.Image:
    if image.format == "JPEG" and count_scans(content) > MAX_SCANS:
        raise ImageError(
            f"The JPEG is written in more than {MAX_SCANS} scans, each of which goes over the "
            "whole picture. Save it anew, as a plain JPEG or as PNG."
        )
    if image.format == "TIFF" and (kind := name_misread_tiff(content)):
        raise _unread(kind)
    try:
        image.load()
    except _DAMAGED as error:
        raise _refusal(content, error, has_header=True) from error
    return image


def _refusal(content: bytes, error: BaseException, *, has_header: bool) -> ImageError:
    # Pillow's own bound on what is compressed beside the pixels.
    if str(error).startswith(("Decompressed data too large", "Too much memory used in text")):
        return ImageError(
            "The PNG has more than 1 MB of text or profile beside its pixels. Save a copy without "
            "it."
        )
    if kind := name_unread_kind(content, has_header=has_header):
        return _unread(kind)
    if is_known_start(content):
        return ImageError("The image file is damaged or cut short. Export or download it again.")
    return ImageError(
        f"This is not an image se_viz can read ({', '.join(FORMATS)}). Save it as JPEG or PNG."
    )


def _unread(kind: str) -> ImageError:
    return ImageError(
        f"This is {kind}, a kind of file that se_viz does not read. Save it as JPEG or PNG."
    )


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(f"{width} x {height} pixels, ")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"The image is {width} x {height} pixels, longer than {MAX_ASPECT} to 1: hardly any of "
            "it would reach the network. Crop it closer to a square."
        )


def _too_many_pixels(size: str = "") -> ImageError:
    return ImageError(
        f"The image has {size}more than the {MAX_PIXELS // 10**6} megapixels that se_viz reads. "
        "Save a smaller copy."
    )


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGED:
        # Notes that cannot be read are no reason to refuse the pixels.
        turn = None
    return image if turn is None else image.transpose(turn)


def _over_white(image: Image.Image) -> Image.Image:
    cover = ImageOps.invert(image.getchannel("A"))
    image = image.convert("RGB")
    image.paste("white", mask=cover)
    return image


def _range(image: Image.Image) -> tuple[float, float]:
    """Return the least and the greatest finite value; 0 and 1 where there is none."""
    # Here: most photos need no NumPy, and a child starts three times as fast without it.
    import numpy as np

    ends = []
    for band in map(np.asarray, _bands(image)):
        finite = band[np.isfinite(band)]
        ends += [float(finite.min()), float(finite.max())] if finite.size else []
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def _to_eight_bits(image: Image.Image, low: float, high: float) -> Image.Image:
    import numpy as np

    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        scaled = ((np.arange(65536) + 128) // 257).astype(np.uint8)[values]
    else:
        # NumPy warns of values that are no numbers, which get a colour all the same.
        with np.errstate(invalid="ignore"):
            scaled = _stretch(values.astype(np.float64), low, high)
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        scaled[values == hidden] = 255
    return Image.fromarray(scaled)


def _stretch(values: Any, low: float, high: float) -> Any:
    # 32-bit values have no agreed white: the least becomes black, the greatest white.
    import numpy as np

    np.nan_to_num(values, copy=False, nan=low, posinf=high, neginf=low)
    values -= low
    values *= 255 / ((high - low) or 1.0)
    return values.round().astype(np.uint8)
