"""Files are read within bounds, and written whole or not at all."""

import os
import resource
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from se_viz.files import check_writable, read_file, replace_file, write_file
from tests import ROOT


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """The system ends every write at so many bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_read_up_to_one_byte_past_its_bound(tmp_path: Path):
    """Whoever asks learns that there is more, and holds no more than that."""
    (tmp_path / "file").write_bytes(b"0123456789")
    assert read_file(tmp_path / "file", 10) == b"0123456789"
    assert read_file(tmp_path / "file", 4) == b"01234"


def test_what_is_no_ordinary_file_is_refused_at_once(tmp_path: Path):
    """A pipe without a writer waits for ever, and a device may have no end; a link to one is no
    better.
    """
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "door"))
    for path, reason in (
        (tmp_path / "pipe", "it is a pipe, which may never end"),
        (Path("/dev/zero"), "it is a device, which may never end"),
        (tmp_path / "link", "it is a device, which may never end"),
        (tmp_path / "door", "it is a socket"),
        (tmp_path, "it is a folder"),
        (tmp_path / "nothing", "No such file or directory"),
    ):
        with pytest.raises(OSError, match=reason):
            read_file(path, 10)
        if path.exists():
            for write in (check_writable, lambda path: write_file(path, b"new")):
                with pytest.raises(OSError, match=reason):
                    write(path)
    assert sorted(os.listdir(tmp_path)) == ["door", "link", "pipe"]


def test_a_full_disk_leaves_the_older_file(tmp_path: Path):
    """The table of last week is worth more than half of a new one, and nothing else stays."""
    (tmp_path / "table.csv").write_bytes(b"old")
    with small_disk(1000), pytest.raises(OSError, match="File too large"):
        write_file(tmp_path / "table.csv", bytes(10_000))
    assert (tmp_path / "table.csv").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_an_error_while_writing_leaves_the_older_file(tmp_path: Path):
    """Also a key or a signal that ends the program comes as an exception."""
    (tmp_path / "table.csv").write_bytes(b"old")

    def stop() -> None:
        with replace_file(tmp_path / "table.csv") as file:
            file.write(b"new")
            raise KeyboardInterrupt("stop")

    with pytest.raises(KeyboardInterrupt, match="stop"):
        stop()
    assert (tmp_path / "table.csv").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_what_a_kill_left_is_used_up(tmp_path: Path):
    """One rest a file at most: the next write takes its place, longer or shorter."""
    (tmp_path / "table.csv.part").write_bytes(bytes(100))
    write_file(tmp_path / "table.csv", b"new")
    assert (tmp_path / "table.csv").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_mode_and_link_stay(tmp_path: Path):
    """Colleagues who could read the older table can read the new one, under every name it had."""
    (tmp_path / "disk").mkdir()
    target = tmp_path / "disk" / "table.csv"
    link = tmp_path / "table.csv"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_file(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.listdir(tmp_path / "disk") == ["table.csv"]


def test_a_new_file_has_the_mode_of_every_new_file(tmp_path: Path):
    """Files for one's own eyes alone, as temporary ones are, would surprise those who share a
    folder.
    """
    (tmp_path / "usual").touch()
    write_file(tmp_path / "table.csv", b"new")
    assert (tmp_path / "table.csv").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_trial_changes_nothing(tmp_path: Path):
    """It comes before hours of computation that may fail: the older file and the folder are as
    they were.
    """
    (tmp_path / "table.csv").write_bytes(b"old")
    check_writable(tmp_path / "table.csv")
    check_writable(tmp_path / "new.csv")
    assert (tmp_path / "table.csv").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["table.csv"]
    with pytest.raises(OSError, match="No such file or directory"):
        check_writable(tmp_path / "nowhere" / "table.csv")


# Its own interpreter: `multiprocessing` would run this process's main module again, which after a
# test of a page is the page, and would start a worker that fails there over and over.
_WRITE = """
import sys
from pathlib import Path
from se_viz.files import write_file
try:
    write_file(Path(sys.argv[1]), b"second")
except BlockingIOError as error:
    print(error.strerror)
else:
    print("written")
"""


def _write_elsewhere(path: Path) -> str:
    words = [sys.executable, "-c", _WRITE, str(path)]
    process = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return process.stdout.strip()


def test_two_processes_do_not_write_one_file(tmp_path: Path):
    """Both would write beside it under one name, and rename a mixture."""
    path = tmp_path / "table.csv"
    with replace_file(path) as file:
        file.write(b"first")
        assert _write_elsewhere(path) == "another process is writing it"
    assert path.read_bytes() == b"first"
    assert _write_elsewhere(path) == "written"
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["table.csv"]
