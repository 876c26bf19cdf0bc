"""Work over many images: how far it is, which are left out, and what Ctrl-C leaves."""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tqdm import tqdm

from se_viz.names import show_path
from se_viz.terminal import complain

_QUIET = 30.0
"""Seconds between two lines about how far it is, where no bar can be drawn."""


class Work:
    """What was done of some images; its bar is on the error stream, where that is a terminal.

    Elsewhere, as in a log, a line is written now and then: nothing, where it takes less than half a
    minute.
    """

    def __init__(self, total: int, what: str = "images") -> None:
        """Begin with nothing done of ``total`` images, or ``what`` else comes one by one."""
        self.total = total
        self.what = what
        self.done = 0
        """Images with a result."""
        self.left_out = 0
        """Images without one, each told."""
        self.stopped = False
        """Whether Ctrl-C has ended it."""
        self._started = self._told = time.monotonic()
        self._bar = tqdm(
            total=total,
            unit=what.removesuffix("s"),
            leave=False,
            disable=None,
            file=sys.stderr,
            dynamic_ncols=True,
        )

    def finish(self, count: int = 1) -> None:
        """Count images that are done."""
        self.done += count
        self._advance(count)

    def leave_out(self, path: Path, error: Exception, count: int = 1) -> None:
        """Tell why an image is left out, and all ``count`` that would have come of it."""
        self._bar.clear()
        complain(f"{show_path(path)}: {error}")
        self.left_out += count
        self._advance(count)

    def say(self, text: str) -> None:
        """Print text to the output, above the bar."""
        self._bar.clear()
        print(text)
        if not self._bar.disable:
            # The bar is on another stream: before it is drawn again the text has to stand there.
            sys.stdout.flush()
            self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

    def _advance(self, count: int) -> None:
        self._bar.update(count)
        now = time.monotonic()
        if self._bar.disable and now - self._told >= _QUIET:
            self._told = now
            so_far = self.done + self.left_out
            rest = (now - self._started) / so_far * (self.total - so_far)
            complain(f"{so_far} of {self.total} {self.what}, about {_duration(rest)} to go")


@contextmanager
def work_on(images: Sequence[object], what: str = "images") -> Iterator[Work]:
    """Show how far the work on some images is.

    Ctrl-C ends the block, and is noted: what was done is kept.
    """
    work = Work(len(images), what)
    try:
        yield work
    except KeyboardInterrupt:
        work.stopped = True
    finally:
        work.close()


@contextmanager
def whole() -> Iterator[None]:
    """Let Ctrl-C wait until the block has ended: what is written in it is whole."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def end(work: Work, missing: int = 0, *, files: str = "") -> int:
    """Return the exit status: 130 where Ctrl-C ended it, 1 if an image was left out, 2 if all were.

    Say how many, if several; after Ctrl-C also what ``files`` hold.
    """
    if work.stopped:
        kept = f"; {files} these" if files and work.done else ""
        complain(f"Stopped after {work.done} of {work.total} {work.what}{kept}.")
        return 128 + signal.SIGINT
    total = work.total + missing
    left_out = work.left_out + missing
    if work.done and left_out > 1:
        complain(f"{left_out} of {total} were left out; the reason of each is above.")
    return 2 if not work.done else int(left_out > 0)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
