"""Reads strangers' bytes in a child process with limits: one that dies takes nobody with it.

Why: docs/decisions/037-weights-of-strangers.md
"""

import errno
import json
import mmap
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NoReturn, cast

from se_viz import errors
from se_viz.errors import SeVizError

_STACK = 16 * 2**20
_LOOK = 0.1  # seconds between two calls of a watch
_CODES = {3: "sentence", 4: "memory", 5: "nesting", 6: "size", 7: "content"}
_NUMBERS = {reason: code for code, reason in _CODES.items()}
_SYSTEM = {errno.EFBIG: "size", errno.ENOMEM: "memory"}
_PLACES = threading.BoundedSemaphore(max(2, (os.cpu_count() or 2) // 2))
"""Children that may run at a time: each may use a core, and the memory of its limits."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one child may use; the operating system ends one that takes more."""

    memory: int
    """Bytes of address space beyond the interpreter's own and the content's (POSIX)."""
    seconds: int
    """Seconds it may run, by the clock and on the processor, without the wait for a place."""
    result: int
    """Bytes it may write."""


class ConfinedError(Exception):
    """A child that did not come to an end of its own; whoever asked says what that means."""

    def __init__(self, reason: str) -> None:
        """Keep the reason: ``memory``, ``time``, ``size``, ``nesting``, ``content`` or
        ``crash``.
        """
        super().__init__(reason)
        self.reason = reason


def run_confined(
    task: str,
    content: bytes | Path,
    bounds: Bounds,
    *,
    watch: Callable[[], None] = lambda: None,
    **options: Any,
) -> memoryview:
    """Run ``module:function`` on a content in a child process; return what it wrote.

    The function is called as ``function(content, out, **options)`` with a memoryview, a binary
    file and plain JSON values. Limits stand before its module is imported. The result is memory
    that nobody shares, and may be written to. ``watch`` is called ten times a second, and may
    raise: that ends the child.

    Raises:
        SeVizError: what the function raised, as the same class with the same text.
        ConfinedError: it was ended, or failed in another way.
        OSError: the content cannot be opened, or no process can be started.
    """
    order = {"task": task, "options": options, "path": sys.path, "memory": bounds.memory}
    order |= {"seconds": bounds.seconds, "result": bounds.result}
    with _opened(content) as source, _memory_file() as result:
        _enter(watch)
        try:
            code = _wait(
                start_child("se_viz.confined", order, source.fileno(), result.fileno()),
                bounds.seconds,
                watch,
            )
        finally:
            _PLACES.release()
        if code == 0:
            return _mapped(result)
        reason = _CODES.get(code, "crash")
        if reason == "sentence":
            result.seek(0)
            kind, text = json.loads(result.read())
            raise getattr(errors, kind)(text)
        raise ConfinedError("time" if code == CPU_SIGNAL else reason)


# `signal.SIGXCPU`, as `Popen` reports it; Windows has no such signal.
CPU_SIGNAL = -24


def _enter(watch: Callable[[], None]) -> None:
    while not _PLACES.acquire(timeout=_LOOK):
        watch()


def _opened(content: bytes | Path) -> BufferedIOBase:
    if isinstance(content, Path):
        return content.open("rb")
    file = _memory_file()
    file.write(content)
    file.seek(0)
    return file


def _memory_file() -> BufferedIOBase:
    # Where it can be in memory, a visitor's bytes never reach a disk.
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("se_viz"), "w+b")
    return cast(BufferedIOBase, tempfile.TemporaryFile())


def start_child(
    module: str, order: dict[str, Any], stdin: int, stdout: int
) -> subprocess.Popen[bytes]:
    """Start an interpreter that runs ``serve`` of a module, and nothing else of the environment."""
    root = str(Path(__file__).parents[1])
    code = (
        f"import sys; sys.path[:] = [{root!r}, *sys.path]; import {module} as child; child.serve()"
    )
    names = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in names if name in os.environ}
    return subprocess.Popen(
        # Isolated, and without the packages of the environment until the limits stand.
        [sys.executable, "-I", "-S", "-c", code, json.dumps(order)],
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        pipesize=2**20,
        env={**environment, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        # Ctrl-C in a terminal is for the parent, which ends the child itself.
        start_new_session=True,
    )


def _wait(child: subprocess.Popen[bytes], seconds: int, watch: Callable[[], None]) -> int:
    until = time.monotonic() + seconds
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return child.wait(_LOOK)
            watch()
            if time.monotonic() > until:
                raise ConfinedError("time")
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def _mapped(file: BufferedIOBase) -> memoryview:
    size = os.fstat(file.fileno()).st_size
    return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) if size else b"")


def serve() -> NoReturn:
    """Do what the parent ordered: standard input is the content, standard output the result."""
    order = json.loads(sys.argv[1])
    size = os.fstat(0).st_size
    _limit(order, size)
    sys.path[:] = [*sys.path, *(place for place in order["path"] if place)]
    out = take_output()
    code = 0
    try:
        content = memoryview(mmap.mmap(0, size, access=mmap.ACCESS_READ) if size else b"")
        module, function = order["task"].split(":")
        getattr(import_module(module), function)(content, out, **order["options"])
        out.flush()
    except SeVizError as error:
        out.seek(0)
        out.truncate()
        out.write(json.dumps([type(error).__name__, str(error)]).encode())
        out.flush()
        code = _NUMBERS["sentence"]
    except MemoryError:
        code = _NUMBERS["memory"]
    except RecursionError:
        code = _NUMBERS["nesting"]
    except OSError as error:
        code = _NUMBERS[_SYSTEM.get(error.errno or 0, "content")]
    except Exception:
        code = _NUMBERS["content"]
    # At once: to free a deeply nested value by the book may crash.
    os._exit(code)


def take_output() -> BufferedIOBase:
    """Return standard output, and keep what modules print out of it."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return out


def _limit(order: dict[str, Any], size: int) -> None:
    bounds = {
        "RLIMIT_AS": address_space() + size + order["memory"],
        "RLIMIT_CPU": order["seconds"],
        "RLIMIT_FSIZE": order["result"],
    }
    set_limits(bounds)


def set_limits(bounds: dict[str, int]) -> None:
    """Set limits of this process, and those that every child has."""
    try:
        import resource
    except ImportError:
        # Windows: the parent's clock alone ends a child.
        return
    for name, bound in {**bounds, "RLIMIT_STACK": _STACK, "RLIMIT_CORE": 0}.items():
        # A system may know a limit and not take it (macOS), or hold a lower one already.
        with suppress(OSError, ValueError, AttributeError):
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
            # A soft limit on the processor's time ends with a signal of its own, a hard one kills.
            resource.setrlimit(kind, (bound, hard if name == "RLIMIT_CPU" else bound))
    with suppress(OSError):
        # Where the machine itself runs out of memory, this is the process to end.
        Path("/proc/self/oom_score_adj").write_text("1000")


def address_space() -> int:
    """Return the bytes of address space that this process has."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    except OSError:
        return 2**30
