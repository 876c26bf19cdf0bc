"""What a file is by its first bytes, and what kind of image it holds; nothing is decoded here.

Why: docs/decisions/034-kinds-of-files.md
"""

import re
import struct
from collections.abc import Iterator

from PIL import features

from se_viz.images.tiffs import name_unread_tiff

_AVIF = features.check("avif")

EXTENSIONS = (
    *("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"),
    *(["avif"] if _AVIF else []),
    # Other names of the same formats.
    *("jfif", "jpe", "jif", "jfi", "pjpeg", "pjp", "mpo", "apng", "dib"),
    *(["avifs"] if _AVIF else []),
)
"""File name endings of the formats that are read."""
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", *(["AVIF"] if _AVIF else []))
"""The formats that are read, by Pillow's names for them."""
MAX_SCANS = 100
"""Most scans of a JPEG: each goes over the whole picture again. Encoders write about ten."""

_READ_START = re.compile(
    rb"\xff\xd8\xff|\x89PNG|RIFF.{4}WEBP|BM.{4}\0{4}|GIF8|II[*+]\0|MM\0[*+]"
    rb"|[\x0c\x28\x34\x38\x40\x6c\x7c]\0{3}" + (rb"|.{4}ftypavi[fs]" if _AVIF else b""),
    re.DOTALL,
)
# How files begin that people take for images; the first that fits counts.
_OTHERS = {
    r"(II\*\0|MM\0\*).{4}CR": "a camera raw file",
    r"IIRO|IIRS|MMOR|IIU\0|FUJIFILM|FOVb|\0MRM|.{4}ftypcrx": "a camera raw file",
    r".{4}ftyp(hei|hev|mif1|msf1)": "a HEIC photo",
    r".{4}ftypavi": "an AVIF image",
    r".{4}ftyp(?!avi)|\x1aE\xdf\xa3|RIFF.{4}AVI |\0\0\x01\xba": "a video",
    r"\xff\x0a|\0\0\0\x0cJXL ": "a JPEG XL image",
    r"\0\0\0\x0cjP  |\xff\x4f\xff\x51": "a JPEG 2000 image",
    r"II\xbc": "a JPEG XR image",
    r"\xff\xd8\xff\xf7": "a JPEG-LS image",
    # One bound for all that comes before: with several, each is tried with every length of the
    # others.
    r"(\xef\xbb\xbf)?\s{0,1000}(?=<(\?xml|!--|!DOCTYPE svg|svg)).{0,6000}?<svg": "an SVG drawing",
    r"(\xef\xbb\xbf)?\s{0,1000}<(!doctype )?html": "a web page",
    r"%PDF": "a PDF document",
    r"%!PS|\xc5\xd0\xd3\xc6": "a PostScript document",
    r"8BPS": "a Photoshop document",
    r"gimp xcf": "a GIMP document",
    r"v/1\x01": "an OpenEXR image",
    r"#\?RADIANCE|#\?RGBE": "a Radiance HDR image",
    r"P[1-7]\s": "a PNM image",
    r"\0\0[\x01\x02]\0[^\0]\0": "an icon",
    r"icns": "an icon",
    r".{128}DICM": "a DICOM image",
    r"SIMPLE  =": "a FITS image",
    r"DDS ": "a DDS texture",
    r"qoif": "a QOI image",
    r"AT&TFORM": "a DjVu document",
    r"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF": "a Windows metafile",
    r"PK\x03\x04": "a ZIP archive or an Office document",
    r"\x1f\x8b": "a gzip archive",
    r"\x93NUMPY": "a NumPy array",
    r"\x89HDF": "an HDF5 file",
}
_OTHER_STARTS = [
    (re.compile(start.encode("latin-1"), re.DOTALL | re.IGNORECASE), kind)
    for start, kind in _OTHERS.items()
]

_MARKER = re.compile(rb"\xff+([^\0\xff\x01\xd0-\xd8])")
_SCAN = 0xDA
_END = 0xD9
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_RARE_FRAMES = {
    0xC3: "lossless",
    0xCB: "lossless",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical"),
}


def is_known_start(content: bytes) -> bool:
    """Return whether a file begins like one of a format that is read."""
    return _READ_START.match(content) is not None


def name_unread_kind(content: bytes, *, has_header: bool) -> str | None:
    """Name the kind of a whole file that cannot be decoded.

    None: of a kind that is read, and damaged, or unknown.

    ``has_header`` says that its header could be read, and its pixels could not.
    """
    for start, kind in _OTHER_STARTS:
        if start.match(content) and not (kind == "an AVIF image" and _AVIF):
            return kind
    if content[:2] in (b"II", b"MM") and is_known_start(content):
        return name_unread_tiff(content, has_header=has_header)
    if content.startswith(b"\xff\xd8\xff"):
        return _name_jpeg(content)
    if (
        content.startswith(b"BM")
        and not has_header
        and int.from_bytes(content[2:6], "little") <= len(content) > 54
    ):
        return "a BMP of a rare kind"
    return None


def count_scans(content: bytes) -> int:
    """Return how many scans a JPEG has; past ``MAX_SCANS`` one more than that."""
    # Previews and later frames have scans too: the exact count takes longer, and is seldom needed.
    if content.count(b"\xff\xda") <= MAX_SCANS:
        return 0
    scans = 0
    for marker, _ in _jpeg_segments(content):
        scans += marker == _SCAN
        if scans > MAX_SCANS:
            break
    return scans


def webp_size(content: bytes) -> tuple[int, int] | None:
    """Return the size that the header of a WebP states: its decoder takes the memory for it at
    once.
    """
    kind = content[12:16] if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else b""
    if kind == b"VP8X" and len(content) >= 30:
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(
            content[27:30], "little"
        ) + 1
    if kind == b"VP8L" and len(content) >= 25:
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(content) >= 30:
        width, height = struct.unpack("<HH", content[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the markers of a JPEG's first frame, each with the first bytes of its segment."""
    place = 2
    while match := _MARKER.search(content, place):
        marker = match[1][0]
        start = match.end()
        if marker == _END:
            return
        yield marker, content[start + 2 : start + 10]
        place = start + int.from_bytes(content[start : start + 2], "big")


def _name_jpeg(content: bytes) -> str | None:
    for marker, segment in _jpeg_segments(content):
        if marker in _FRAMES and len(segment) >= 6:
            bits = segment[0]
            bands = segment[5]
            if marker in _RARE_FRAMES:
                return f"a {_RARE_FRAMES[marker]} JPEG"
            if bits != 8:
                return f"a JPEG of {bits} bits a value"
            return None if bands in (1, 3, 4) else f"a JPEG of {bands} bands"
    return None
