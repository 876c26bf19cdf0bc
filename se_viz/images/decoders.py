"""Strangers' images are decoded in child processes, with bounds on memory and time, in order of
arrival.

Why: docs/decisions/033-images-of-strangers.md
"""

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from queue import Empty, LifoQueue
from typing import cast

from PIL import Image

from se_viz.confined import CPU_SIGNAL, start_child
from se_viz.devices import Line, Watch
from se_viz.errors import ImageError
from se_viz.images.decoder_child import BAND, HEAD, ORDER, REFUSAL, SIZE
from se_viz.images.decoding import MAX_PIXELS, TOO_MUCH_MEMORY, paint

MEMORY = 2**30
"""Bytes that the decoder of one image may take."""
SECONDS = 10
"""Seconds that it may compute; by the clock it may take six times as long, where others compute
too."""
CHILDREN = 2
"""Images that are decoded at a time."""
WAITING = 200
"""Images that may wait."""

_PATIENCE = 6 * SECONDS
_LOOK = 0.1


class _Decoder:
    """A child process that decodes one image after the other.

    A new one takes the place of one that dies.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Return the child, which starts without being waited for."""
        if self._child is None:
            order = {"path": sys.path, "memory": MEMORY, "seconds": SECONDS}
            self._child = start_child(
                "se_viz.images.decoder_child", order, subprocess.PIPE, subprocess.PIPE
            )
        return self._child

    def decode(self, content: bytes, side: int = 0) -> Image.Image:
        """Return the upright RGB image that a file holds, or already its square of this side.

        Raises:
            ImageError: it holds none, or asks for more time or memory than there is for one.
        """
        child = self.start()
        late = threading.Event()
        clock = threading.Timer(_PATIENCE, lambda: (late.set(), child.kill()))
        clock.daemon = True
        clock.start()
        try:
            return self._ask(child, content, side)
        except EOFError:
            code = child.wait()
            self.end()
            raise _explain(code, late=late.is_set()) from None
        finally:
            clock.cancel()

    def _ask(self, child: subprocess.Popen[bytes], content: bytes, side: int) -> Image.Image:
        request = cast(FileIO, child.stdin)
        answer = cast(FileIO, child.stdout)
        try:
            _write(request, ORDER.pack(len(content), side))
            _write(request, content)
        except BrokenPipeError:
            raise EOFError from None
        width, height = self._next_part(answer, SIZE)
        if not 0 < width * height <= MAX_PIXELS:
            raise EOFError
        return paint((width, height), self._bands(answer, width, height))

    def _bands(self, answer: FileIO, width: int, height: int) -> Iterator[Image.Image]:
        while height > 0:
            rows, _ = self._next_part(answer, BAND)
            yield Image.frombytes("RGB", (width, rows), _read(answer, 3 * width * rows))
            height -= rows

    def _next_part(self, answer: FileIO, expected: bytes) -> tuple[int, int]:
        kind, first, second = HEAD.unpack(_read(answer, HEAD.size))
        if kind == REFUSAL:
            sentence = _read(answer, first).decode()
            # What a decoder has failed at may stay in its memory.
            if second:
                self.end()
            raise ImageError(sentence)
        if kind != expected or not first:
            raise EOFError
        return first, second

    def end(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._child.kill()
            self.abandon()
            self._child.wait()
            self._child = None

    def abandon(self) -> None:
        """Close this process's ends of the pipes: in a fork, the child belongs to the parent."""
        if self._child is not None:
            for pipe in (self._child.stdin, self._child.stdout):
                cast(FileIO, pipe).close()


def decode_confined(content: bytes, watch: Watch = lambda _: None, *, side: int = 0) -> Image.Image:
    """Decode a file in a child process, in order of arrival, to an upright RGB image.

    ``watch`` is told how many are before this one, and may raise to give up. Who needs the square
    of a ``side`` alone may be given it at once, as `centre_square` cuts it of the whole image.

    Raises:
        ImageError: it holds no image, or asks for more time or memory than there is for one.
        BusyError: too many wait already.
    """
    with _borrow(watch) as decoder:
        return decoder.decode(content, side)


def warm_up() -> None:
    """Start a child ahead of the first image, without waiting for it."""
    try:
        decoder = _free.get_nowait()
    except Empty:
        return
    try:
        decoder.start()
    finally:
        _free.put(decoder)


@contextmanager
def _borrow(watch: Watch) -> Iterator[_Decoder]:
    free = _free
    with _line.turn(watch):
        decoder = _next_free(watch)
    try:
        yield decoder
    except ImageError:
        raise
    except BaseException:
        # Nobody reads the rest of its answer.
        decoder.end()
        raise
    finally:
        free.put(decoder)


def _next_free(watch: Callable[[int], None]) -> _Decoder:
    while True:
        try:
            return _free.get(timeout=_LOOK)
        except Empty:
            watch(1)


def _write(pipe: FileIO, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[pipe.write(rest) :]


def _read(pipe: FileIO, length: int) -> bytearray:
    content = bytearray(length)
    rest = memoryview(content)
    while rest:
        count = pipe.readinto(rest)  # pyright: ignore[reportAttributeAccessIssue]
        if not count:
            raise EOFError
        rest = rest[count:]
    return content


def _explain(code: int, *, late: bool) -> ImageError:
    if late or code == CPU_SIGNAL:
        return ImageError(
            f"The image takes more than {SECONDS} seconds to decode. Save it anew, as JPEG or PNG."
        )
    # Killed, and not by us: the machine itself ran out of memory.
    if code == -9:
        return ImageError(TOO_MUCH_MEMORY)
    return ImageError(
        "The image broke its decoder, so the file may be damaged. Save it anew, as JPEG or PNG."
    )


def _fill() -> None:
    global _line, _free
    _line = Line("the decoder", WAITING)
    _free = LifoQueue()
    for decoder in _decoders:
        _free.put(decoder)


def _start_over() -> None:
    # A fork may not talk to children of its parent, and would keep them from ending.
    for decoder in _decoders:
        decoder.abandon()
    _decoders[:] = [_Decoder() for _ in range(CHILDREN)]
    _fill()


_decoders = [_Decoder() for _ in range(CHILDREN)]
_line: Line
_free: LifoQueue[_Decoder]
_fill()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over)


@atexit.register
def _end_all() -> None:
    for decoder in _decoders:
        decoder.end()
