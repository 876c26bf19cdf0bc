"""What the server holds of uploads: photos in memory alone, so much a session, so much in all."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from se_viz.images.reading import MAX_BYTES
from se_viz.ui.session import uploads
from se_viz.ui.session.uploads import bound_uploads, bounded


def file(name: str, size: int) -> UploadedFileRec:
    return UploadedFileRec(file_id=name, name=name, type="image/png", data=bytes(size))


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> MemoryUploadedFileManager:
    """Ten bytes a session, twenty-five in all."""
    monkeypatch.setattr(uploads, "SESSION", 10)
    monkeypatch.setattr(uploads, "SERVER", 25)
    return MemoryUploadedFileManager("/upload")


def test_the_oldest_files_of_a_session_make_room(manager: MemoryUploadedFileManager):
    """Its newest is the one that somebody looks at; other sessions lose nothing."""
    add = bounded(manager)
    add("you", file("yours", 9))
    for name in ("first", "second", "third"):
        add("me", file(name, 4))
    assert [*manager.file_storage["me"]] == ["second", "third"]
    add("me", file("large", 10))
    assert [*manager.file_storage["me"]] == ["large"]
    assert [*manager.file_storage["you"]] == ["yours"]


def test_all_sessions_together_hold_so_much(manager: MemoryUploadedFileManager):
    """The next is turned away as a file that is too large is; who leaves makes room."""
    add = bounded(manager)
    for session in ("one", "two"):
        add(session, file("photo", 10))
    with pytest.raises(
        HTTPException, match="The uploads of all visitors fill the room of this app"
    ):
        add("three", file("photo", 6))
    manager.remove_session_files("one")
    add("three", file("photo", 6))


HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'


async def parse(*chunks: bytes, wait: asyncio.Event | None = None) -> object:
    """Read a form as the server does, whose end may be waited for."""

    async def stream() -> AsyncGenerator[bytes]:
        for chunk in chunks:
            yield chunk
        if wait is not None:
            await wait.wait()
        yield b"\r\n--b--\r\n"

    headers = Headers({"content-type": "multipart/form-data; boundary=b"})
    return (await MultiPartParser(headers, stream()).parse())["file"]


def test_files_count_while_they_arrive(monkeypatch: pytest.MonkeyPatch):
    """Many that are sent slowly would fill the disk before one of them is whole; who gives up
    makes room.
    """
    bound_uploads()
    monkeypatch.setattr(uploads, "SERVER", 1000)

    async def run() -> None:
        slow = asyncio.create_task(parse(HEAD, bytes(800), wait=asyncio.Event()))
        await asyncio.sleep(0)
        with pytest.raises(
            HTTPException, match="The uploads of all visitors fill the room of this app"
        ):
            await parse(HEAD, bytes(300))
        slow.cancel()
        await asyncio.wait([slow])
        for size in (300, 800):
            upload = await parse(HEAD, bytes(size))
            assert isinstance(upload, UploadFile)
            await upload.close()

    asyncio.run(run())


def test_a_request_brings_one_file():
    """A thousand photos in one form, each below the bound for the disk, would all lie in memory."""
    bound_uploads()
    with pytest.raises(MultiPartException, match="Maximum number of files is 1"):
        asyncio.run(parse(HEAD, bytes(10), b"\r\n" + HEAD, bytes(10)))


def test_a_photo_reaches_no_disk():
    """The server's parser writes what is above a bound to a temporary file; no photo that is read
    is above it.
    """
    bound_uploads()
    upload = asyncio.run(parse(HEAD, *[bytes(2**20)] * (MAX_BYTES // 2**20)))
    assert isinstance(upload, UploadFile)
    assert upload.size == MAX_BYTES
    assert upload._in_memory
    asyncio.run(upload.close())
