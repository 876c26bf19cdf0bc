"""Files that are read within bounds and written whole or not at all.

Errors have a reason fit to be shown.

Why: docs/decisions/038-files-are-whole-or-not-there.md
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path

from se_viz.errors import DataError

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be replaced and so needs no lock.
    fcntl = None

SUFFIXES = (".csv", ".parquet", ".json", ".npz")
"""File name endings that tables are written to."""
FIGURES = (".svg", ".pdf", ".png", ".html")
"""File name endings that figures are written to."""
_KINDS = {
    stat.S_IFIFO: "it is a pipe, which may never end",
    stat.S_IFCHR: "it is a device, which may never end",
    stat.S_IFBLK: "it is a device",
    stat.S_IFSOCK: "it is a socket",
}
"""What a path may be beside an ordinary file."""
_LACKING = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)
"""What drives say that cannot do what was asked."""


class _TriedError(Exception):
    """Ends a trial, so that nothing of it stays."""


def read_file(path: Path, limit: int) -> bytes:
    """Return the content of an ordinary file, but no more than one byte above ``limit``.

    Pipes, devices, sockets and folders are refused at once: to read one may wait for ever, or never
    end.

    Raises:
        OSError: it is no ordinary file, or cannot be read; ``strerror`` is fit to be shown.
    """
    check_ordinary(path)
    # Without waiting, in case it was replaced by a pipe just now.
    with open(
        os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb"
    ) as file:
        _check_mode(os.fstat(file.fileno()).st_mode, path)
        return file.read(limit + 1)


def check_ordinary(path: Path) -> None:
    """Refuse what is no ordinary file, without opening it.

    Raises:
        OSError: it is a folder, pipe, device or socket, or cannot be looked at.
    """
    _check_mode(path.stat().st_mode, path)


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Put a file in the place of an older one, see `replace_file`."""
    with replace_file(path) as file:
        file.write(content)


@contextmanager
def replace_file(path: Path) -> Iterator[BufferedRandom]:
    """Write a file beside its place.

    At the end of the block it takes the place of an older one, mode and all.

    An error, a full disk or a kill leaves the older one as it was. What a kill leaves beside it is
    used up by the next write. A link stays a link: the file that it leads to is replaced.

    Raises:
        OSError: the file cannot be written, or another process is writing it.
    """
    path = Path(os.path.realpath(path))
    older = _older(path)
    part = path.with_name(f"{path.name}.part")
    with _begin(part) as file:
        yield file
        file.flush()
        _settle(file)
        if older is not None:
            _dress(part, older)
        # While it is locked: another process could begin to write under the same name.
        if fcntl:
            part.replace(path)
    if not fcntl:
        part.replace(path)


def check_writable(path: Path) -> None:
    """Find out, without touching an older file, whether `replace_file` can write one.

    Raises:
        OSError: it cannot.
    """
    path = Path(os.path.realpath(path))
    _older(path)
    part = path.with_name(f"{path.name}.part")
    with suppress(_TriedError), _begin(part):
        raise _TriedError


def check_target(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Check before anything slow is done that a file can be written.

    Raises:
        DataError: the ending is not one of ``suffixes``, the folder does not exist, or the file
            cannot be written.
    """
    check_name(path, suffixes)
    with told(path):
        check_writable(path)


def check_folder_target(folder: Path) -> None:
    """Check before anything slow is done that files can be written into a folder; make it.

    Raises:
        DataError: it cannot be made or written into.
    """
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, "it is write-protected", str(folder))


def check_name(path: Path, suffixes: Sequence[str]) -> None:
    """Check the ending of a file that is to be written, and its folder.

    Raises:
        DataError: the ending is not one of ``suffixes``, or the folder does not exist.
    """
    if path.suffix.lower() not in suffixes:
        raise DataError(
            f"{path.name} ends in none of {', '.join(suffixes)}. Name the file with one of these."
        )
    if not os.path.isdir(path.parent):
        raise DataError(f"There is no folder {path.parent}. Create it or name another one.")


@contextmanager
def hold(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Keep other processes out of a block by a lock on a file or folder, which the system undoes
    when this one ends.

    A file is made where there is none, and stays. Windows has no such lock: there nobody is kept
    out.

    Raises:
        BlockingIOError: another process is inside, and this one was not to wait.
        OSError: the file cannot be made.
    """
    if not fcntl:
        yield
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(descriptor, path, wait=wait)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the system says of a file that cannot be written into a sentence.

    Raises:
        DataError: the system says so.
    """
    try:
        yield
    except OSError as error:
        # Not all libraries pass on more than its text.
        reason = error.strerror or str(error)
        raise DataError(
            f"{path} cannot be written: {reason}. Make room or name another file."
        ) from error


def _older(path: Path) -> os.stat_result | None:
    try:
        older = path.stat()
    except FileNotFoundError:
        return None
    _check_mode(older.st_mode, path)
    # Renaming asks nobody whether the older file may be written.
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "it is write-protected", str(path))
    return older


def _check_mode(mode: int, path: Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "it is no ordinary file")
        raise OSError(errno.EINVAL, kind, str(path))


@contextmanager
def _begin(part: Path) -> Iterator[BufferedRandom]:
    """Open the file beside, empty and for this process alone; an error in the block removes it."""
    try:
        with _open_part(part) as file:
            try:
                yield file
            except BaseException:
                if fcntl:
                    # While it is locked: afterwards it may be another process's.
                    part.unlink(missing_ok=True)
                raise
    except BaseException:
        if not fcntl:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        raise


def _open_part(part: Path) -> BufferedRandom:
    flags = os.O_RDWR | os.O_CREAT
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    while True:
        file = open(os.open(part, flags, 0o666), "r+b")  # noqa: SIM115
        try:
            _check_mode(os.fstat(file.fileno()).st_mode, part)
            _lock(file.fileno(), part)
            # Another process may have put the very file in its place before the lock was free.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), part.stat()):
                    file.truncate()
                    return file
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(descriptor: int, path: Path, *, wait: bool = False) -> None:
    if not fcntl:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        raise BlockingIOError(errno.EAGAIN, "another process is writing it", str(path)) from error
    except OSError as error:
        # Some network drives have no locks.
        if error.errno not in _LACKING:
            raise


def _settle(file: BufferedRandom) -> None:
    """Have the content on the disk before the name: a machine that stops in between shows no empty
    file.
    """
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _LACKING:
            raise


def _dress(part: Path, older: os.stat_result) -> None:
    # A drive that knows no owners and modes has none to keep.
    with suppress(OSError):
        part.chmod(stat.S_IMODE(older.st_mode))
        if hasattr(os, "chown"):
            os.chown(part, older.st_uid, older.st_gid)
