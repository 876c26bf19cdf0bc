"""Bytes to a safe, upright RGB image, and the sample images; the one way to open user files."""

import glob
import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from se_viz.devices import Watch
from se_viz.errors import ImageError
from se_viz.files import check_ordinary, read_file
from se_viz.images.decoders import decode_confined
from se_viz.images.decoding import centre_square, decode, flatten, paint
from se_viz.images.formats import EXTENSIONS

MAX_BYTES = 20 * 2**20
"""Largest file that is read."""
_SAMPLES = Path(__file__).parents[1] / "samples"


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


def open_image(
    source: bytes | str | Path, *, trusted: bool = False, watch: Watch = lambda _: None
) -> Image.Image:
    """Open a file, or its bytes, as an upright RGB image of its full size.

    EXIF orientation is applied, transparency is laid over white, 16-bit values are scaled to 8
    bits, 32-bit values are stretched from black to white, and animations give their first frame.
    Nothing else the file says, such as where a photo was taken, stays with the image.

    A file is decoded in a process of its own, within 1 GiB of memory and 10 seconds, two files at a
    time; ``watch`` is told how many are before this one. A ``trusted`` file is decoded in this
    process, without these bounds, to the same pixels.

    Raises:
        ImageError: the file is missing, empty, too large, damaged, no image of a known format, or
            takes too much.
        BusyError: too many files wait already.
    """
    content = source if isinstance(source, bytes) else _read(Path(source))
    _check_length(len(content))
    if not trusted:
        return decode_confined(content, watch)
    image = decode(content)
    return paint(image.size, flatten(image))


def open_square(content: bytes, side: int, *, watch: Watch = lambda _: None) -> Image.Image:
    """Open a file's bytes as the square that `centre_square` cuts of `open_image`'s picture.

    The same pixels, sooner: of most photos, the full size never leaves the process that decodes.

    Raises:
        ImageError, BusyError: as `open_image`.
    """
    _check_length(len(content))
    return centre_square(decode_confined(content, watch, side=side), side)


def list_samples() -> tuple[Sample, ...]:
    """Return the images that come with se_viz."""
    rows = json.loads((_SAMPLES / "samples.json").read_text(encoding="utf-8"))
    return tuple(Sample(**row, path=_SAMPLES / f"{row['name']}.jpg") for row in rows)


def find_images(paths: Sequence[Path], suffixes: Collection[str] = EXTENSIONS) -> list[Path]:
    """Return each path once, and for a folder the images in it and its subfolders.

    Without any path, the samples.

    A path with ``*``, ``?`` or ``[`` that is no file's name stands for the files that fit it,
    ``**`` for folders of any depth: not every shell puts them in its place.

    Raises:
        ImageError: a folder holds no file that is named like an image, or cannot be read; or no
            file fits.
    """
    if not paths:
        return [sample.path for sample in list_samples()]
    matches = [file for path in paths for file in _matching(path)]
    return list(
        dict.fromkeys(
            file
            for path in matches
            for file in (_images_in(path, suffixes) if os.path.isdir(path) else [path])
        )
    )


def _matching(path: Path) -> list[Path]:
    # A file may really have a star in its name.
    if not glob.has_magic(str(path)) or os.path.lexists(path):
        return [path]
    files = sorted(map(Path, glob.iglob(str(path), recursive=True)))
    if not files:
        raise ImageError(f"No file fits {path}. Check the name and the folder.")
    return files


def _images_in(folder: Path, suffixes: Collection[str]) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise ImageError(
            f"{error.filename} cannot be read: {error.strerror}. Check who may read it."
        ) from error

    files = sorted(
        Path(place, name)
        for place, _, names in os.walk(folder, onerror=refuse)
        for name in names
        # macOS puts notes of its own beside files on other systems' drives.
        if Path(name).suffix.lower().removeprefix(".") in suffixes and not name.startswith("._")
    )
    if not files:
        what = "image" if suffixes is EXTENSIONS else "file"
        raise ImageError(
            f"{folder} holds no {what} ({', '.join(suffixes)}). Name a folder with {what}s in it."
        )
    return files


def _read(path: Path) -> bytes:
    try:
        _check_length(path.stat().st_size) if os.path.isfile(path) else check_ordinary(path)
        return read_file(path, MAX_BYTES)
    except FileNotFoundError as error:
        raise ImageError(f"There is no file {path}. Check the name.") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path} is a folder. Name an image in it.") from error
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        # Names that no file can have are no error of the system.
        reason = getattr(error, "strerror", None) or error
        raise ImageError(
            f"{path} cannot be read: {reason}. Name an image file that you may read."
        ) from error


def _check_length(length: int) -> None:
    if not length:
        raise ImageError("The file is empty. Choose another one.")
    if length > MAX_BYTES:
        raise ImageError(
            f"The file has {length / 2**20:.1f} MB, more than the {MAX_BYTES // 2**20} MB that "
            "se_viz reads. Save a smaller copy."
        )
