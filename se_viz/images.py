"""Bytes to a safe, upright RGB image, and the sample images; the one way to open user files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from se_viz.decoding import decode, flatten, paint
from se_viz.errors import ImageError
from se_viz.formats import EXTENSIONS

MAX_BYTES = 20 * 2**20
"""Largest file that is read."""
_SAMPLES = Path(__file__).parent / "samples"


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
    image = decode(content)
    return paint(image.size, flatten(image))


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
