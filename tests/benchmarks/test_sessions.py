"""The arithmetic of the measurements of many people; never a time."""

import os
import threading
from pathlib import Path

import pytest
import streamlit as st

from benchmarks.measure import peak_memory, percentile, resident_memory
from benchmarks.memory import measure, show_growth
from benchmarks.sessions import HEAD, Crowd, crowd, make_photos, time_batch
from se_viz.networks import Network, checkpoints

pytestmark = pytest.mark.slow


def test_percentile_is_the_value_that_so_many_stay_below():
    """Of 0, 1, ..., 100 it is the number itself, and order must not matter."""
    values = [float(value) for value in reversed(range(101))]
    assert [percentile(values, percent) for percent in (5, 50, 95)] == [5.0, 50.0, 95.0]


def test_percentile_lies_between_two_values_where_none_is_there():
    """Of two photos, 95 of 100 lies near the slower one."""
    assert percentile([1.0, 2.0], 95) == pytest.approx(1.95)


def test_percentile_of_one_value_is_that_value():
    """One person with one photo is a row of the table too: no other wait is known there."""
    assert [percentile([0.7], percent) for percent in (5, 50, 95)] == [0.7] * 3
    assert Crowd(waits=(0.7,), seconds=1.0).row(1, best=2.0, memory=None)[1:3] == ["0.70", "0.70"]


def test_resident_memory_is_at_most_the_peak():
    """What a process holds now cannot be more than the most it ever held, and this one holds
    something.
    """
    if not os.path.exists("/proc/self/status"):
        pytest.skip("Only Linux tells a process's memory.")
    resident = resident_memory(os.getpid())
    peak = peak_memory(os.getpid())
    assert resident is not None
    assert peak is not None
    assert 0 < resident <= peak


def test_a_crowd_starts_at_once_and_everyones_waits_count():
    """Four people can only pass this gate together, so all must be there at the same time."""
    gate = threading.Barrier(4)

    def person(number: int):
        def show() -> list[float]:
            gate.wait(60)
            return [float(number), float(number)]

        return show

    result = crowd([person(number) for number in range(4)])
    assert sorted(result.waits) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert result.seconds > 0


def test_throughput_counts_all_photos_over_the_whole_time():
    """Eight photos in two seconds are four a second, however long each one waited; by hand for a
    row.
    """
    result = Crowd(waits=(1.0,) * 4 + (2.0,) * 4, seconds=2.0)
    assert result.throughput == 4.0
    row = result.row(4, best=5.0, memory=None)
    assert row == ["4", "1.50", "2.00", "4.00", "0.80", "not told here"]
    assert len(row) == len(HEAD)


def test_nobody_shows_a_photo_that_a_cache_knows():
    """A photo that came twice, in one row of the table or two, would be answered without a pass."""
    photos = [photo for people in (1, 2) for queue in make_photos(people, 2) for photo in queue]
    assert len(set(photos)) == 2 * (1 + 2)


def test_a_batch_is_counted_in_images(network: Network):
    """It is compared with images a second, not passes; a network of 64 pixels runs more than
    none.
    """
    assert time_batch(network, 2, repeats=1) > 0


@pytest.mark.parametrize(
    ("memory", "start", "words"), [(110.4, 100.0, "+10 MiB"), (99.0, 100.0, "-1 MiB")]
)
def test_growth_has_a_sign(memory: float, start: float, words: str):
    """A number without one would read as an amount."""
    assert show_growth(memory, start) == words


def test_growth_that_is_not_known_is_said():
    """Where the system does not tell, a table must not show a 0."""
    assert show_growth(None, 1.0) == "not told here"


def test_memory_is_marked_before_the_first_image_and_at_the_end(
    network_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """The calls are those of the page, so that its caches fill; 256 images are twice what they
    hold.
    """
    monkeypatch.setattr(checkpoints, "FOLDER", network_folder)
    monkeypatch.setattr("benchmarks.memory.FULL", 1)
    st.cache_data.clear()
    st.cache_resource.clear()
    marks = measure("tiny", "cpu", 5)
    assert [count for count, _ in marks] == [0, 2, 4, 5]
    assert all(memory is None or memory > 0 for _, memory in marks)
