"""What the command line prints: safe for every terminal and pipe, and how it ends when it is told
to.
"""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from se_viz.names import escape_controls, show_text

_END = 2000
"""Letters of each end of a sentence that are printed in any case."""
_GONE = (errno.EPIPE, errno.EINVAL)
"""What a pipe says that nobody reads from any more; the second on Windows."""


class TerminatedError(BaseException):
    """This process was told to end: like `KeyboardInterrupt`, no `except Exception` stops it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class OutputError(BaseException):
    """Nobody can read what is printed, so that going on would be for nothing."""


def complain(text: object) -> None:
    """Print one sentence to the error stream.

    A name as long as a book is left out of its middle.
    """
    words = str(text)
    if len(words) > 2 * _END:
        words = f"{words[:_END]} … {words[-_END:]}"
    print(f"se_viz: {show_text(words)}", file=sys.stderr)


@contextmanager
def safe_output() -> Iterator["Stream"]:
    """Let both streams take any text, and survive readers that leave and disks that are full.

    The output is ``needed`` where nothing else holds the answer: then a command that nobody reads
    from any more ends by an `OutputError`; else it goes on.
    """
    streams = sys.stdout, sys.stderr
    output = Stream(sys.stdout, needed=True)
    sys.stdout = output
    sys.stderr = Stream(sys.stderr, needed=False)
    try:
        yield output
    finally:
        with suppress(OutputError):
            sys.stdout.flush()
        with suppress(OutputError):
            sys.stderr.flush()
        sys.stdout, sys.stderr = streams


@contextmanager
def told_to_end() -> Iterator[None]:
    """Turn a wish that this process ends (TERM, or a terminal that closes) into a
    `TerminatedError`.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise TerminatedError(number)

    before: dict[int, Any] = {}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Not where it is ignored, as under `nohup`, or handled by somebody; only a main thread has
        # signals.
        with suppress(ValueError):
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Stream:
    """A text stream that writes what its encoding lacks as escapes, and notes why it can write no
    more.
    """

    def __init__(self, stream: Any, *, needed: bool) -> None:
        self.error: OSError | None = None
        self.needed = needed
        self._stream = stream

    @property
    def gone(self) -> bool:
        """Whether a reader has left, as ``head`` does, rather than that a disk is full."""
        return self.error is not None and self.error.errno in _GONE

    def write(self, text: str) -> int:
        """Write text without a character that moves or colours anything."""
        if self._stream is not None and self.error is None:
            safe = escape_controls(text)
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            with suppress(UnicodeEncodeError):
                # File names that are no UTF-8: their own bytes, not what stands for them inside
                # Python.
                safe = safe.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            safe = safe.encode(encoding, "backslashreplace").decode(encoding)
            try:
                self._stream.write(safe)
            except OSError as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Write what was kept back."""
        if self._stream is not None and self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._lose(error)

    def __getattr__(self, name: str) -> Any:
        """Answer everything else as the stream does."""
        return getattr(self._stream, name)

    def _lose(self, error: OSError) -> None:
        self.error = error
        # What is kept back would be written, and fail, once more when Python ends.
        with suppress(OSError, AttributeError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        if self.needed:
            raise OutputError from error
