"""Whole files of a kind that is not read are named for what they are; only damaged ones are called
damaged.
"""

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from se_viz.errors import ImageError
from se_viz.images.reading import open_image

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
ENDING = r", a kind of file that se_viz does not read\. Save it as JPEG or PNG\.$"


def tiff(values: np.ndarray, **options: Any) -> bytes:
    """Write a TIFF with another library than the one that reads it."""
    file = BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def with_tag(content: bytes, tag: int, value: int) -> bytes:
    """Give a tag of a little-endian TIFF's first image another short value."""
    (place,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, place)
    copy = bytearray(content)
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, entry)[0] == tag:
            struct.pack_into("<I", copy, entry + 8, value)
    assert copy != content
    return bytes(copy)


FLOATS = np.full((16, 24, 3), 0.5, np.float32)
PLAIN = tiff(NOISE, photometric="rgb")
TIFFS = {
    "3 bands of 32-bit floats": tiff(FLOATS, photometric="rgb"),
    "3 bands of 16-bit floats": tiff(FLOATS.astype(np.float16), photometric="rgb"),
    "1 band of 16-bit floats": tiff(FLOATS[..., 0].astype(np.float16)),
    "1 band of 64-bit floats": tiff(FLOATS[..., 0].astype(np.float64)),
    "1 band of 64-bit integers": tiff(np.ones((16, 24), np.uint64)),
    "1 band of 64-bit complex numbers": tiff(np.ones((16, 24), np.complex64)),
    "3 bands of 32-bit integers": tiff(np.ones((16, 24, 3), np.uint32), photometric="rgb"),
    "5 bands of 16-bit integers in planes": tiff(
        np.zeros((5, 16, 24), np.uint16), photometric="minisblack", planarconfig="separate"
    ),
    "7 bands of 8-bit integers in planes": tiff(
        np.zeros((7, 16, 24), np.uint8),
        photometric="minisblack",
        planarconfig="separate",
        tile=(16, 16),
    ),
    "12 bands of 32-bit floats": tiff(
        np.zeros((16, 24, 12), np.float32), photometric="minisblack", planarconfig=1
    ),
}


@pytest.mark.parametrize("kind", TIFFS)
@pytest.mark.parametrize("form", ["classic", "big-endian", "BigTIFF", "compressed"])
def test_a_whole_tiff_of_another_kind_is_named(kind: str, form: str):
    """To export a satellite image again gives the same file: only another format helps."""
    content = TIFFS[kind]
    with tifffile.TiffFile(BytesIO(content)) as file:
        page = file.pages[0].aspage()
        options = {"photometric": page.photometric, "planarconfig": page.planarconfig}
        values = page.asarray()
    if form != "classic":
        extra = {
            "big-endian": {"byteorder": ">"},
            "BigTIFF": {"bigtiff": True},
            "compressed": {"compression": "zlib"},
        }
        content = tiff(values, **options, **extra[form])
    with pytest.raises(ImageError, match=f"^This is a TIFF of {kind}{ENDING}"):
        open_image(content)


@pytest.mark.parametrize(
    ("number", "name"),
    [(34712, "JPEG 2000"), (34887, "LERC"), (50002, "JPEG XL"), (1234, "method 1234")],
)
def test_a_tiff_of_another_compression_is_named(number: int, name: str):
    """The header is that of any TIFF; what is in it, no decoder here knows."""
    with pytest.raises(ImageError, match=f"^This is a TIFF compressed by {name}{ENDING}"):
        open_image(with_tag(PLAIN, 259, number))


def test_camera_raw_files_are_not_shown_by_their_preview():
    """The first image of a NEF or DNG is a thumbnail: an answer about it would look like one about
    the photo.
    """
    raw = {
        "preview": tiff(NOISE, photometric="rgb", subfiletype=1),
        "sensor": with_tag(tiff(NOISE[..., 0]), 262, 32803),
        "CR2": PLAIN[:8] + b"CR\x02\0" + PLAIN[12:],
        "Olympus": b"IIRO" + PLAIN[4:],
        "Fujifilm": b"FUJIFILMCCD-RAW 0201" + bytes(200),
        "CR3": b"\0\0\0\x18ftypcrx " + bytes(100),
    }
    for content in raw.values():
        with pytest.raises(ImageError, match=f"^This is a camera raw file{ENDING}"):
            open_image(content)


@pytest.mark.parametrize("kind", TIFFS)
def test_a_tiff_of_another_kind_that_is_cut_short_is_damaged(kind: str):
    """Here the next step is another one: the file is not whole."""
    content = TIFFS[kind]
    for length in (len(content) - 1, len(content) // 2, 9):
        with pytest.raises(
            ImageError,
            match=r"^The image file is damaged or cut short\. Export or download it again",
        ):
            open_image(content[:length])


def test_a_big_tiff_is_read():
    """The format of files past 4 GB differs in the header alone, and some programs always write
    it.
    """
    image = open_image(tiff(NOISE, photometric="rgb", bigtiff=True))
    np.testing.assert_array_equal(np.asarray(image), NOISE)


MISREAD = {
    "2 bands of 8-bit integers in planes": (
        {"planarconfig": "separate", "compression": "zlib"},
        NOISE[..., :2],
    ),
    "5 bands of 8-bit integers in planes": (
        {"planarconfig": "separate", "compression": "zlib"},
        NOISE[..., [0, 1, 2, 0, 1]],
    ),
    "1 band of 32-bit signed integers": (
        {"byteorder": ">", "compression": "zlib"},
        NOISE[..., :1].astype(np.int32),
    ),
    "1 band of 16-bit signed integers": (
        {"byteorder": ">", "compression": "zlib"},
        NOISE[..., :1].astype(np.int16),
    ),
    "1 band of 32-bit floats": (
        {"byteorder": ">", "compression": "zlib"},
        NOISE[..., :1].astype(np.float32),
    ),
}


@pytest.mark.parametrize("kind", MISREAD)
def test_a_tiff_that_would_be_shown_as_another_picture_is_refused(kind: str):
    """The decoder takes the first of five bands for the picture, and bytes in the wrong order for
    values.
    """
    options, values = MISREAD[kind]
    values = values[..., 0] if values.shape[-1] == 1 else np.moveaxis(values, 2, 0)
    with pytest.raises(ImageError, match=f"^This is a TIFF of {kind}{ENDING}"):
        open_image(tiff(values, photometric="minisblack", **options))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bands", [3, 4])
def test_wide_colours_in_planes_are_refused(order: str, bands: int):
    """Two bytes a value, plane after plane, are decoded as if they were one byte a value."""
    values = np.moveaxis(NOISE[..., [0, 1, 2, 0][:bands]], 2, 0).astype(np.uint16) * 257
    with pytest.raises(
        ImageError, match=f"^This is a TIFF of {bands} bands of 16-bit integers in planes{ENDING}"
    ):
        open_image(tiff(values, photometric="rgb", planarconfig="separate", byteorder=order))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("form", ["grey", "grey 16", "colours", "colours 16", "planes"])
def test_tiffs_that_are_read_hold_the_pixels_they_were_written_with(
    order: str, compression: str | None, tile: tuple[int, int] | None, form: str
):
    """Kinds are refused by their tags: a rule that is too wide would send whole photos away."""
    values = NOISE[..., 0] if form.startswith("grey") else NOISE
    values = values.astype(np.uint16) * 257 if form.endswith("16") else values
    options = {"byteorder": order, "compression": compression, "tile": tile}
    options["photometric"] = "minisblack" if form.startswith("grey") else "rgb"
    if form == "planes":
        values = np.moveaxis(values, 2, 0)
        options["planarconfig"] = "separate"
    image = np.asarray(open_image(tiff(values, **options)))
    np.testing.assert_array_equal(
        image, NOISE[..., [0, 0, 0]] if form.startswith("grey") else NOISE
    )


def test_plain_planes_of_luminance_are_no_damage():
    """Their header is read, and their pixels are not; packed, the same planes are read."""
    planes = np.moveaxis(NOISE, 2, 0)
    with pytest.raises(
        ImageError, match=f"^This is a TIFF of 3 bands of 8-bit integers in planes{ENDING}"
    ):
        open_image(tiff(planes, photometric="ycbcr", planarconfig="separate"))
    assert open_image(
        tiff(planes, photometric="ycbcr", planarconfig="separate", compression="zlib")
    ).size == (32, 24)


def test_damaged_pixels_of_a_tiff_are_damaged():
    """The header is whole and of a kind that is read: what fails is the file itself."""
    content = bytearray(tiff(NOISE, photometric="rgb", compression="zlib"))
    with tifffile.TiffFile(BytesIO(bytes(content))) as file:
        place = file.pages[0].aspage().dataoffsets[0]
    content[place : place + 40] = bytes(40)
    with pytest.raises(ImageError, match="damaged"):
        open_image(bytes(content))


OTHERS = {
    "a HEIC photo": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
    "a video": b"\0\0\0\x18ftypmp42\0\0\0\0isom" + bytes(100),
    "a JPEG XL image": b"\xff\x0a\xfa\x0f" + bytes(100),
    "a JPEG 2000 image": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
    "a JPEG-LS image": b"\xff\xd8\xff\xf7\0\x0b\x08" + bytes(100),
    "an SVG drawing": b"<?xml version='1.0'?>\n<!-- a drawing -->\n<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a web page": b"<!DOCTYPE html>\n<html><body>404</body></html>",
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3",
    "a PostScript document": b"%!PS-Adobe-3.0 EPSF-3.0",
    "a Photoshop document": b"8BPS\0\x01" + bytes(100),
    "an OpenEXR image": b"v/1\x01\x02\0\0\0" + bytes(100),
    "a PNM image": b"P6\n2 2\n255\n" + bytes(12),
    "an icon": b"\0\0\x01\0\x01\0" + bytes(100),
    "a DICOM image": bytes(128) + b"DICM" + bytes(100),
    "a FITS image": b"SIMPLE  =                    T" + bytes(100),
    "a ZIP archive or an Office document": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_that_is_renamed_is_named_for_what_it_is(kind: str):
    """A HEIC photo called .jpg is what phones send most; "no image" would be untrue."""
    with pytest.raises(ImageError, match=f"^This is {kind}{ENDING}"):
        open_image(OTHERS[kind])


def test_an_image_of_another_kind_is_no_icon():
    """A Targa file begins as an icon without pictures would."""
    file = BytesIO()
    Image.fromarray(NOISE).save(file, "TGA")
    with pytest.raises(ImageError, match=r"^This is not an image se_viz can read"):
        open_image(file.getvalue())


def jpeg_frame(marker: int, bits: int, bands: int) -> bytes:
    """Give a JPEG a frame of another kind; its scan follows as it was."""
    file = BytesIO()
    Image.fromarray(NOISE).save(file, "JPEG")
    content = bytearray(file.getvalue())
    place = content.find(b"\xff\xc0")
    content[place + 1] = marker
    content[place + 4] = bits
    content[place + 9] = bands
    return bytes(content)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ((0xC1, 12, 3), "a JPEG of 12 bits a value"),
        ((0xC0, 8, 2), "a JPEG of 2 bands"),
        ((0xC5, 8, 3), "a hierarchical JPEG"),
        ((0xC3, 12, 3), "a lossless JPEG"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_rare_jpeg_is_named(frame: tuple[int, int, int], kind: str):
    """Scanners and medical devices write them, whole and well."""
    with pytest.raises(ImageError, match=f"^This is {kind}{ENDING}"):
        open_image(jpeg_frame(*frame))


def test_a_bmp_of_a_rare_kind_is_named():
    """A BMP may hold a JPEG, which Windows writes for printers."""
    file = BytesIO()
    Image.fromarray(NOISE).save(file, "BMP")
    content = bytearray(file.getvalue())
    content[30] = 4
    with pytest.raises(ImageError, match=f"^This is a BMP of a rare kind{ENDING}"):
        open_image(bytes(content))


def progressive(side: int, scans: int) -> bytes:
    """A grey JPEG whose scans after the first refine nothing: each is one run of empty blocks."""

    def segment(marker: int, data: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data

    def pack(bits: str) -> bytes:
        bits += "1" * (-len(bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")

    blocks = (side // 8) ** 2
    frame = struct.pack(">BHHB", 8, side, side, 1) + bytes([1, 0x11, 0])
    # Two codes of one and two bits: one block, and a run of 16,384 and more of them.
    dc = segment(0xC4, b"\0" + bytes([1] + [0] * 15) + b"\0")
    ac = segment(0xC4, b"\x10" + bytes([1, 1] + [0] * 14) + b"\0\xe0")
    head = b"\xff\xd8" + segment(0xDB, b"\0" + bytes([1] * 64)) + segment(0xC2, frame) + dc + ac
    first = segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + pack("0" * blocks)
    later = segment(0xDA, bytes([1, 1, 0, 1, 63, 0])) + pack("0" * blocks)
    return head + first + later * (scans - 1) + b"\xff\xd9"


def test_a_jpeg_of_too_many_scans_is_refused_before_it_is_decoded():
    """Each scan goes over the whole picture: thousands of them, in a few megabytes, took
    minutes.
    """
    assert open_image(progressive(64, 100)).size == (64, 64)
    with pytest.raises(
        ImageError, match=r"^The JPEG is written in more than 100 scans, .* or as PNG\.$"
    ):
        open_image(progressive(64, 101))


def test_scans_of_previews_and_later_frames_do_not_count():
    """A phone's file holds thumbnails and more frames; only the first picture is decoded."""
    file = BytesIO()
    Image.fromarray(NOISE).save(file, "JPEG")
    content = file.getvalue()
    preview = progressive(64, 60)
    thumbnail = b"\xff\xe1" + struct.pack(">H", len(preview) + 2) + preview
    image = open_image(content[:2] + 2 * thumbnail + content[2:] + progressive(64, 100))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(open_image(content)))


def test_a_png_with_a_novel_beside_its_pixels_is_not_called_damaged():
    """Programs that draw by prompts keep the whole recipe in the file."""
    from PIL import PngImagePlugin

    notes = PngImagePlugin.PngInfo()
    notes.add_text("recipe", "word " * 300_000, zip=True)
    file = BytesIO()
    Image.fromarray(NOISE).save(file, "PNG", pnginfo=notes)
    with pytest.raises(
        ImageError,
        match=r"^The PNG has more than 1 MB of text or profile .* Save a copy without it",
    ):
        open_image(file.getvalue())
