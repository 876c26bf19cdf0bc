"""What a TIFF holds, by the tags of its first image: whether Pillow reads that, and reads it
right.
"""

import struct
from collections.abc import Mapping

_WIDTHS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SUBFILE = 254
_BITS = 258
_COMPRESSION = 259
_PHOTOMETRIC = 262
_SAMPLES = 277
_PLANES = 284
_EXTRA = 338
_SAMPLE_FORMAT = 339
_DNG = 50706
_OFFSETS = (273, 324)
_COUNTS = (279, 325)
_NEEDED = {
    _SUBFILE,
    _BITS,
    _COMPRESSION,
    _PHOTOMETRIC,
    _SAMPLES,
    _PLANES,
    _EXTRA,
    _SAMPLE_FORMAT,
    _DNG,
}
_NUMBERS = {
    1: "integers",
    2: "signed integers",
    3: "floats",
    4: "values",
    5: "complex integers",
    6: "complex numbers",
}
_COMPRESSIONS = {
    6: "an old kind of JPEG",
    **dict.fromkeys((33003, 33004, 33005, 34712), "JPEG 2000"),
    **dict.fromkeys((22610, 34934), "JPEG XR"),
    **dict.fromkeys((34661, 34715), "JBIG"),
    **dict.fromkeys((34676, 34677), "SGI's log"),
    **dict.fromkeys((50002, 52546), "JPEG XL"),
    **dict.fromkeys((50000, 34926), "Zstandard"),
    **dict.fromkeys((50001, 34927), "WebP"),
    34887: "LERC",
    34925: "LZMA",
    32809: "ThunderScan",
}
# Every build of Pillow decodes these: where one fails, the file is damaged.
_COMMON_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32771, 32773, 32946}
# The values of a sensor, before they are colours.
_SENSOR = (32803, 34892)

Tags = Mapping[int, tuple[int, ...]]


def name_unread_tiff(content: bytes, *, has_header: bool) -> str | None:
    """Name the kind of a whole TIFF that cannot be decoded; None: the file is damaged.

    ``has_header`` says that its header could be read, and its pixels could not.
    """
    tags = _read_tags(content)
    if tags is None or not _holds_its_pixels(tags, len(content)):
        return None
    if _is_raw(tags):
        return "a camera raw file"
    compression = _first(tags, _COMPRESSION)
    if compression not in _COMMON_COMPRESSIONS:
        return f"a TIFF compressed by {_COMPRESSIONS.get(compression, f'method {compression}')}"
    # Planes that are not packed, or not of colours that are shown, fail in Pillow's decoder and not
    # in the file.
    planes = _first(tags, _PLANES) == 2 and (compression == 1 or _first(tags, _PHOTOMETRIC) == 6)
    return None if has_header and not planes else _describe(tags)


def name_misread_tiff(content: bytes) -> str | None:
    """Name the kind of a TIFF that Pillow opens, and would show as another picture than the file
    holds.
    """
    tags = _read_tags(content)
    if tags is None:
        return None
    if _is_raw(tags):
        return "a camera raw file"
    separate = _first(tags, _PLANES) == 2
    packed = _first(tags, _COMPRESSION) != 1
    grey = _first(tags, _PHOTOMETRIC) in (0, 1)
    wide = max(tags.get(_BITS, (1,))) > 8
    # It shows the first of many bands, takes bytes of 16-bit planes for values, and leaves some
    # values turned round.
    many_bands = grey and _first(tags, _SAMPLES) > 1 and separate and not any(tags.get(_EXTRA, ()))
    wide_planes = separate and wide and not packed
    turned = content.startswith(b"MM") and packed and grey and wide and not _is_plain_sixteen(tags)
    return _describe(tags) if many_bands or wide_planes or turned else None


def _is_plain_sixteen(tags: Tags) -> bool:
    return tags.get(_BITS) == (16,) and _first(tags, _SAMPLE_FORMAT) == 1


def _describe(tags: Tags) -> str:
    samples = _first(tags, _SAMPLES)
    photometric = _first(tags, _PHOTOMETRIC)
    bits = "/".join(map(str, sorted(set(tags.get(_BITS, (1,))))))
    numbers = _NUMBERS.get(_first(tags, _SAMPLE_FORMAT), "values")
    separate = " in planes" if _first(tags, _PLANES) == 2 else ""
    colours = (
        "" if photometric in range(7) or photometric == 8 else f", colours of kind {photometric}"
    )
    return (
        f"a TIFF of {samples} {'band' if samples == 1 else 'bands'} of {bits}-bit "
        f"{numbers}{separate}{colours}"
    )


def _first(tags: Tags, tag: int) -> int:
    return tags.get(tag, (1,))[0]


def _is_raw(tags: Tags) -> bool:
    # The first image of a raw file is a preview: an answer about it would look like one about the
    # photo.
    preview = tags.get(_SUBFILE, (0,))[0] & 1
    return bool(preview) or _DNG in tags or _first(tags, _PHOTOMETRIC) in _SENSOR


def _holds_its_pixels(tags: Tags, length: int) -> bool:
    for offsets, counts in zip(_OFFSETS, _COUNTS, strict=True):
        if offsets in tags and counts in tags:
            pieces = zip(tags[offsets], tags[counts], strict=False)
            return all(start + count <= length for start, count in pieces)
    return False


def _read_tags(content: bytes) -> dict[int, tuple[int, ...]] | None:
    """Return the tags that tell the kind of a TIFF's first image, or None where they are not all
    in the file.
    """
    order = "<" if content[:2] == b"II" else ">"
    big = b"+" in content[:4]
    count_form, entry, start = ("Q", "HHQ8s", 8) if big else ("H", "HHI4s", 4)
    length = struct.calcsize(order + entry)
    tags = {}
    try:
        (place,) = struct.unpack_from(order + ("Q" if big else "I"), content, start)
        (count,) = struct.unpack_from(order + count_form, content, place)
        place += struct.calcsize(count_form)
        for number in range(min(count, len(content) // length + 1)):
            tag, kind, values, inline = struct.unpack_from(
                order + entry, content, place + number * length
            )
            if (
                tag in {*_NEEDED, *_OFFSETS, *_COUNTS} - tags.keys()
                and kind in _WIDTHS
                and 0 < values <= len(content)
            ):
                tags[tag] = _values(content, order + str(values) + _WIDTHS[kind], inline)
    except (struct.error, OverflowError):
        return None
    return tags


def _values(content: bytes, form: str, inline: bytes) -> tuple[int, ...]:
    size = struct.calcsize(form)
    if size <= len(inline):
        return struct.unpack(form, inline[:size])
    (place,) = struct.unpack(form[0] + ("Q" if len(inline) == 8 else "I"), inline)
    return struct.unpack_from(form, content, place)
