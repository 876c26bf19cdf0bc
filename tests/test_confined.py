"""A child that reads strangers' bytes: it ends in a result or a reason, and the parent goes on."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from se_viz.confined import Bounds, ConfinedError, run_confined
from se_viz.errors import ImageError

BOUNDS = Bounds(memory=200 * 2**20, seconds=30, result=2**20)


def run(
    task: str, content: bytes | Path = b"content", bounds: Bounds = BOUNDS, **options: Any
) -> bytes:
    return bytes(run_confined(f"tests.support.confined_tasks:{task}", content, bounds, **options))


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.parametrize("content", [b"", b"a", bytes(range(256)) * 1000])
def test_content_and_options_reach_the_child_and_its_result_comes_back(content: bytes):
    """Also where there is no content: an empty file cannot be mapped."""
    assert run("echo", content, side=3) == content + b"{'side': 3}"


def test_a_file_is_read_from_its_place(tmp_path: Path):
    """A gigabyte on disk need not pass through the parent."""
    path = tmp_path / "file"
    path.write_bytes(b"on disk")
    assert run("echo", path) == b"on disk{}"
    with pytest.raises(FileNotFoundError, match="none"):
        run("echo", tmp_path / "none")


def test_the_result_may_be_written_to():
    """It becomes tensors and images, which libraries may change in place."""
    result = run_confined("tests.support.confined_tasks:echo", b"a", BOUNDS)
    result[0] = 7
    assert bytes(result[:1]) == b"\7"


ENDS = {
    "hog": "memory",
    "spin": "time",
    "sleepy": "time",
    "recurse": "nesting",
    "nest": "crash",
    "crash": "crash",
    "big": "size",
    "fails": "content",
}


@pytest.mark.parametrize(("task", "reason"), ENDS.items(), ids=ENDS)
def test_a_child_that_goes_wrong_is_one_reason(task: str, reason: str):
    """Memory, time, stack and output are bounded by the system, whatever the child does; none
    stays behind.
    """
    before = children()
    with pytest.raises(ConfinedError, match=f"^{reason}$"):
        run(
            task,
            bounds=Bounds(memory=200 * 2**20, seconds=1 if reason == "time" else 30, result=2**20),
        )
    # Fewer, where one that an earlier test had left came to its end.
    assert children() <= before


def test_a_sentence_of_the_child_is_raised_as_it_is():
    """The task knows best what was wrong; half a result before it counts for nothing."""
    with pytest.raises(ImageError, match=r"^This is no image\. Choose another\.$"):
        run("sentence")


def test_what_a_module_prints_is_not_in_the_result():
    """Libraries print warnings."""
    assert run("prints") == b"result"


def test_a_watch_that_raises_ends_the_child():
    """Who has left the page waits for nothing."""
    before = children()

    def leave() -> None:
        raise InterruptedError("gone")

    with pytest.raises(InterruptedError, match="gone"):
        run_confined("tests.support.confined_tasks:sleepy", b"", BOUNDS, watch=leave)
    assert children() <= before


def test_limits_stand_and_nothing_is_inherited(monkeypatch: pytest.MonkeyPatch):
    """No core file of a visitor's bytes, and no secret of the server's environment in the
    child's.
    """
    monkeypatch.setenv("SE_VIZ_SECRET", "token")
    child = json.loads(run("tell_limits"))
    assert child["limits"] == {"RLIMIT_CPU": 30, "RLIMIT_FSIZE": 2**20, "RLIMIT_CORE": 0}
    assert "SE_VIZ_SECRET" not in child["environment"]
