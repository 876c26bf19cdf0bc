"""What the soak counts, and how it tells growth; never a time."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.soak import DEAREST_HEAD, PARTS, analyse_in_parts, compare
from benchmarks.usage import HEAD, Usage, describe_growth, take_usage, wait_until_flat
from se_viz.networks import Network

pytestmark = pytest.mark.slow

linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells")
BEFORE = Usage(memory=1000.0, threads=10, descriptors=20, children=2)


@linux
def test_a_thread_and_an_open_file_are_counted(tmp_path: Path):
    """A leak of one each has to be seen, and its end too."""
    before = take_usage()
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    with (tmp_path / "file").open("w"):
        during = take_usage()
    end.set()
    thread.join()
    after = take_usage(os.getpid())
    assert (
        describe_growth(before, replace(during, memory=None))
        == "Grown: threads by 1, descriptors by 1."
    )
    assert (after.threads, after.descriptors) == (before.threads, before.descriptors)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "Flat: memory, threads, open files and children."),
        ({"memory": 1029.0, "threads": 8}, "Flat: memory, threads, open files and children."),
        ({"memory": 1050.0}, "Grown: memory by 50 MiB."),
        ({"descriptors": 21, "children": 4}, "Grown: descriptors by 1, children by 2."),
    ],
)
def test_growth_names_what_has_grown(change: dict, words: str):
    """Memory may move by three in a hundred; a thread or a file more is a leak, one fewer is
    none.
    """
    assert describe_growth(BEFORE, replace(BEFORE, **change)) == words


def test_what_is_not_told_is_not_called_grown():
    """Elsewhere than on Linux nothing is known: a table says so."""
    unknown = Usage(None, None, None, None)
    assert unknown.row() == ["not told here"] * len(HEAD)
    assert describe_growth(unknown, unknown).startswith("Not told")


@linux
def test_waiting_ends_at_once_where_nothing_has_grown():
    """The seconds until all has gone are part of the record."""
    usage, waited = wait_until_flat(os.getpid(), replace(take_usage(), memory=10.0**6), 60)
    assert usage.threads == len(list(Path("/proc/self/task").iterdir()))
    assert waited < 60


def test_each_analysis_is_made_once(network: Network):
    """The marks are numbers of analyses, the last of them all; five in parts of one each."""
    assert PARTS >= 5
    assert [*analyse_in_parts(network, 5, people=2)] == [1, 2, 3, 4, 5]


def test_a_row_compares_the_slowest_with_and_without():
    """Alone all wait 1 s, beside the dear one 3 s: p95 is 3 times as long."""
    row = compare("methods", [1.0] * 4, [3.0] * 4)
    assert row == ["methods", "1.00", "1.00", "3.00", "3.00", "3.00"]
    assert len(row) == len(DEAREST_HEAD)
