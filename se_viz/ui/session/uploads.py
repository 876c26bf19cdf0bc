"""Uploaded files while the server holds them: photos in memory alone, bounds for a session and for
all.
"""

import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from se_viz.images import MAX_BYTES

SESSION = 5 * 2**28
"""Bytes of files that one session may have on the server: the largest weights, and photos
beside."""
SERVER = 2**32
"""Bytes of files of all sessions together."""
_FULL = "The uploads of all visitors fill the room of this app. Wait until somebody leaves."
_lock = threading.Lock()
_bounded: set[int] = set()
_parse = MultiPartParser.parse


def bound_uploads() -> None:
    """Keep photos off the disk while they arrive, and bound what the server holds.

    Once a server.
    """
    # Starlette writes larger parts of a form to a temporary file.
    MultiPartParser.spool_max_size = MAX_BYTES + 2**20
    MultiPartParser.parse = _parse_counted
    if not runtime.exists():
        return
    manager = runtime.get_instance().uploaded_file_mgr
    with _lock:
        if isinstance(manager, MemoryUploadedFileManager) and id(manager) not in _bounded:
            _bounded.add(id(manager))
            manager.add_file = bounded(manager)  # pyright: ignore[reportAttributeAccessIssue]


def bounded(manager: MemoryUploadedFileManager) -> Callable[[str, UploadedFileRec], None]:
    """Return a manager's ``add_file`` with bounds: a session's oldest files make room for its
    newest.

    Raises:
        HTTPException: (from what is returned) all sessions together have too many bytes.
    """
    add_file = manager.add_file
    lock = threading.Lock()

    def add(session_id: str, file: UploadedFileRec) -> None:
        with lock:
            _make_room(manager, session_id, len(file.data))
            if _held(manager) + len(file.data) > SERVER:
                raise HTTPException(413, _FULL)
            add_file(session_id, file)

    return add


class _Arriving:
    """Bytes of all uploads whose end has not come yet."""

    size = 0


async def _parse_counted(self: MultiPartParser) -> FormData:
    """Read a form of one file, as Streamlit's page sends it, while there is room for what has come
    of it.
    """
    self.max_files = 1
    begun: list[int] = []
    self.stream = _counted(self.stream, begun)
    try:
        async with aclosing(self.stream):
            return await _parse(self)
    finally:
        _Arriving.size -= sum(begun)


async def _counted(stream: AsyncGenerator[bytes], begun: list[int]) -> AsyncGenerator[bytes]:
    async for chunk in stream:
        begun.append(len(chunk))
        _Arriving.size += len(chunk)
        if _Arriving.size + _held_here() > SERVER:
            raise HTTPException(413, _FULL)
        yield chunk


def _held_here() -> int:
    manager = runtime.get_instance().uploaded_file_mgr if runtime.exists() else None
    return _held(manager) if isinstance(manager, MemoryUploadedFileManager) else 0


def _make_room(manager: MemoryUploadedFileManager, session: str, size: int) -> None:
    files = dict(manager.file_storage.get(session, {}))
    total = sum(len(file.data) for file in files.values())
    for name, file in files.items():
        if total + size <= SESSION:
            return
        manager.remove_file(session, name)
        total -= len(file.data)


def _held(manager: MemoryUploadedFileManager) -> int:
    sessions = list(manager.file_storage.values())
    return sum(len(file.data) for files in sessions for file in list(files.values()))
