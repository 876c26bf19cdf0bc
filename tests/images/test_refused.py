"""Files that are no images, or too large ones, end in one clear sentence and cost no memory."""

import json
import random
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from se_viz.errors import ImageError
from se_viz.images.reading import EXTENSIONS, MAX_BYTES, find_images, open_image
from tests import ROOT

pytestmark = pytest.mark.slow

FORMATS = [
    kind
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
    if kind.lower() in EXTENSIONS
]
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, *, rows: int, bits: int = 8) -> bytes:
    """A black grey PNG, written by hand: its header may promise more rows than there are."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(1)
    line = bytes(1 + width * bits // 8)
    pixels = b"".join(packer.compress(line) for _ in range(rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def forge(kind: str, width: int, height: int) -> bytes:
    """A small file whose header promises a large image."""
    if kind == "PNG":
        return png(width, height, rows=8)
    frames = {"save_all": True, "append_images": [NOISE.rotate(180)]} if kind == "WEBP" else {}
    content = bytearray(encode(NOISE, kind, **frames))
    # Tags 256 and 257 of a TIFF follow each other: number, type, count, value.
    tags = struct.pack("<HHII", 256, 4, 1, width) + struct.pack("<HHII", 257, 4, 1, height)
    place, numbers = {
        "JPEG": (content.find(b"\xff\xc0") + 5, struct.pack(">HH", height, width)),
        "WEBP": (24, (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")),
        "BMP": (18, struct.pack("<ii", width, height)),
        "GIF": (6, struct.pack("<HH", width, height)),
        "TIFF": (content.find(tags[:8]), tags),
        "AVIF": (content.find(b"ispe") + 8, struct.pack(">II", width, height)),
    }[kind]
    content[place : place + len(numbers)] = numbers
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [b"just some words", bytes(1000), b"\0", b"II", b"RIFF"],
    ids=["text", "zeros", "one byte", "two letters of a TIFF", "a container"],
)
def test_what_is_no_image_is_refused(content):
    """The sentence names the formats that are read and what to do."""
    with pytest.raises(
        ImageError,
        match=r"^This is not an image se_viz can read \(JPEG, PNG, .*\)\. Save it as JPEG",
    ):
        open_image(content)


def test_an_empty_file_is_refused():
    """A download that failed at once leaves zero bytes."""
    with pytest.raises(ImageError, match=r"^The file is empty\. Choose another one\.$"):
        open_image(b"")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_short_is_refused(kind, share):
    """Half a photo above grey rows would be explained as if it were the photo."""
    content = encode(NOISE, kind)
    with pytest.raises(
        ImageError,
        match=r"^The image file is damaged or cut short\. Export or download it again\.$",
    ):
        open_image(content[: max(16, int(share * len(content)))])


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_a_header_that_promises_more_than_there_is_is_refused(kind):
    """The size is allowed, the pixels are missing (decoders of the other formats fill them with
    one colour).
    """
    with pytest.raises(ImageError, match="damaged or cut short"):
        open_image(forge(kind, 600, 400))


def test_twenty_megabytes_are_read_and_one_byte_more_is_not():
    """The limit is on the file, whatever is in it: here zeros behind a small PNG."""
    content = encode(NOISE, "PNG").ljust(MAX_BYTES, b"\0")
    assert open_image(content).size == NOISE.size
    with pytest.raises(
        ImageError,
        match=r"^The file has 20\.0 MB, more than the 20 MB that se_viz reads\. Save a sma",
    ):
        open_image(content + b"\0")


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    """A hole of one terabyte would not fit in memory: the length is looked up first."""
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ImageError, match=r"^The file has 1048576\.0 MB"):
        open_image(path)


def test_one_pixel_over_fifty_megapixels_is_refused():
    """7,937 * 6,300 = 50,003,100; a row less is within the limit and fails only for its missing
    rows.
    """
    with pytest.raises(
        ImageError, match=r"^The image has 7937 x 6300 pixels, more than the 50 megapixels"
    ):
        open_image(png(7937, 6300, rows=1))
    with pytest.raises(ImageError, match="damaged"):
        open_image(png(7937, 6299, rows=1, bits=1))


def test_a_strip_longer_than_twenty_to_one_is_refused():
    """The centre square of such an image is a twentieth of it: the answer would be about something
    else.
    """
    assert open_image(encode(Image.new("L", (20, 1)), "PNG")).size == (20, 1)
    for size in ((21, 1), (1, 21)):
        with pytest.raises(
            ImageError, match=r"longer than 20 to 1: .* Crop it closer to a square\.$"
        ):
            open_image(encode(Image.new("L", size), "PNG"))


def test_missing_files_and_folders_are_told_apart(tmp_path):
    """The command line takes paths, and each slip has its own remedy."""
    with pytest.raises(ImageError, match=r"^There is no file .*nowhere\.png\. Check the name\.$"):
        open_image(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match=r" is a folder\. Name an image in it\.$"):
        open_image(tmp_path)
    with pytest.raises(ImageError, match=r" cannot be read: File name too long\."):
        open_image(tmp_path / ("x" * 300))


GROWTH = """
import json, resource, sys
from pathlib import Path
from se_viz.errors import ImageError
from se_viz.images import open_image

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def growth(path):
    before = peak()
    try:
        open_image(path)
    except ImageError as error:
        return peak() - before, str(error)
    return peak() - before, "opened"

folder = Path(sys.argv[1])
for path in sorted(folder.glob("good*")):
    open_image(path)
print(json.dumps({path.name: growth(path) for path in sorted(folder.glob("next*"))}))
"""


def memory_growth(folder: Path, files: dict[str, bytes]) -> dict[str, tuple[int, str]]:
    """Open files in a process of its own; MB by which its peak grew, and what was said, for each
    ``next``.
    """
    for name, content in files.items():
        (folder / name).write_bytes(content)
    command = [sys.executable, "-c", GROWTH, str(folder)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(process.stdout)


def test_a_decompression_bomb_never_allocates_its_pixels(tmp_path):
    """81 megapixels are 81 MB of grey and 324 MB of RGB; the header alone must be enough to refuse
    them.
    """
    files = {f"good-{kind}": encode(NOISE, kind) for kind in FORMATS}
    files |= {f"next-{kind}": forge(kind, 9000, 9000) for kind in FORMATS}
    files["next-honest"] = png(9000, 9000, rows=9000)
    for name, (growth, result) in memory_growth(tmp_path, files).items():
        assert result != "opened", name
        assert growth < 16, name
    assert len(files["next-honest"]) < 2**19


def test_an_image_is_held_twice_at_most_while_it_is_opened(tmp_path):
    """10 megapixels are 40 MB in Pillow's four bytes a pixel: one decoded, one returned, and some
    slack.
    """
    content = encode(Image.new("RGB", (4000, 2500)), "PNG", compress_level=1)
    (growth, result) = memory_growth(tmp_path, {"good": encode(NOISE, "PNG"), "next": content})[
        "next"
    ]
    assert result == "opened"
    assert growth < 100


def seeds() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[274] = 6
    exif[270] = "a photo"
    files = {kind: encode(NOISE, kind) for kind in FORMATS}
    files |= {
        f"{kind} with EXIF": encode(NOISE, kind, exif=exif)
        for kind in FORMATS
        if kind not in ("BMP", "GIF")
    }
    files |= {
        f"TIFF {name}": encode(NOISE, "TIFF", compression=name)
        for name in ("tiff_lzw", "packbits", "jpeg")
    }
    files |= {f"TIFF {mode}": encode(NOISE.convert(mode), "TIFF") for mode in ("F", "CMYK", "P")}
    files["PNG alpha"] = encode(NOISE.convert("RGBA"), "PNG")
    files["PNG palette"] = encode(NOISE.quantize(16), "PNG", transparency=1)
    return files


def damage(content: bytes, dice: random.Random) -> bytes:
    if dice.random() < 0.2:
        return content[: dice.randrange(1, len(content))]
    damaged = bytearray(content)
    # Headers are where a wrong byte does most.
    reach = min(200, len(damaged)) if dice.random() < 0.6 else len(damaged)
    for _ in range(dice.choice((1, 1, 2, 5))):
        damaged[dice.randrange(reach)] = dice.choice((0, 1, 127, 128, 255, dice.randrange(256)))
    return bytes(damaged)


def outcome(content: bytes) -> str:
    try:
        return open_image(content).mode
    except ImageError as error:
        return str(error)


SEEDS = seeds()


@pytest.mark.parametrize("name", SEEDS)
def test_a_damaged_file_gives_an_image_or_an_image_error(name):
    """The page must go on whatever is dropped on it: no other exception, and no warning, may come
    out.
    """
    dice = random.Random(name)
    for _ in range(80):
        words = outcome(damage(SEEDS[name], dice))
        assert words == "RGB" or words.endswith(".")


def test_a_name_that_no_file_can_have_is_refused():
    """Longer than the system takes, or with a zero byte in it: a sentence, as for every other
    name.
    """
    for name, reason in (("x" * 300, "File name too long"), ("a\0b", "embedded null")):
        with pytest.raises(ImageError, match=f"cannot be read: {reason}.*Name an image file"):
            open_image(name)
        assert find_images([Path(name)]) == [Path(name)]
