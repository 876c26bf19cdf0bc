"""What runs in a child of `decoders`: one photo after the other, each within limits of its own."""

import json
import struct
import sys
import time
from io import BufferedIOBase
from typing import NoReturn

from se_viz.confined import address_space, set_limits, take_output
from se_viz.errors import ImageError

HEAD = struct.Struct("<cII")
"""What precedes each part of an answer: its kind, and two numbers."""
SIZE = b"S"
BAND = b"B"
REFUSAL = b"R"
"""Kinds: width and height; rows of RGB pixels; the bytes of a sentence, and whether this child has
grown."""
ORDER = struct.Struct("<QI")
"""What precedes each file: its length, and the side of the square that is needed of it, or 0 for
the whole."""
_SLACK = 2**28
"""Bytes of address space, NumPy's among them, that a child may keep."""


def serve() -> NoReturn:
    """Decode the files that come on standard input, until it ends."""
    order = json.loads(sys.argv[1])
    set_limits({"RLIMIT_FSIZE": 0})
    sys.path[:] = [*sys.path, *(place for place in order["path"] if place)]
    out = take_output()
    start = address_space()
    while head := sys.stdin.buffer.read(ORDER.size):
        length, side = ORDER.unpack(head)
        content = sys.stdin.buffer.read(length)
        _allow(order["memory"], order["seconds"])
        _answer(content, side, out, start + _SLACK)
        out.flush()
    sys.exit()


def _answer(content: bytes, side: int, out: BufferedIOBase, most: int) -> None:
    # Here: the limits stand, and the packages are found.
    from se_viz.images.decoding import TOO_MUCH_MEMORY, centre_square, decode, flatten, is_flat

    try:
        image = decode(content)
        # Others are made flat first, which takes a second whole image; this process has no room.
        if side and is_flat(image):
            image = centre_square(image, side)
        out.write(HEAD.pack(SIZE, *image.size))
        for band in flatten(image):
            out.write(HEAD.pack(BAND, band.height, 0) + band.tobytes())
    except ImageError as error:
        _refuse(str(error), out, has_grown=address_space() > most)
    except MemoryError:
        _refuse(TOO_MUCH_MEMORY, out, has_grown=True)


def _refuse(sentence: str, out: BufferedIOBase, *, has_grown: bool) -> None:
    text = sentence.encode()
    out.write(HEAD.pack(REFUSAL, len(text), has_grown) + text)


def _allow(memory: int, seconds: int) -> None:
    """Let this process take so much more memory and time from now on."""
    try:
        import resource
    except ImportError:
        # Windows: the parent's clock alone ends a child.
        return
    elapsed = int(time.process_time()) + 1
    for kind, bound in (
        (resource.RLIMIT_AS, address_space() + memory),
        (resource.RLIMIT_CPU, elapsed + seconds),
    ):
        hard = resource.getrlimit(kind)[1]
        try:
            resource.setrlimit(
                kind, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard)
            )
        except (OSError, ValueError):
            # macOS knows the limit of memory and does not take it.
            continue
