"""Who runs when; threads meet at events and never sleep."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from se_viz.devices.line import Line, Turn
from se_viz.errors import BusyError

PATIENCE = 300.0
"""Seconds after which a test that hangs fails."""


class GoneError(Exception):
    """What a watch raises when nobody wants the answer."""


@dataclass
class Street:
    """A line, threads that join it one after the other, and what they did."""

    line: Line
    pool: ThreadPoolExecutor
    log: list[str] = field(default_factory=list)

    def join(self, name: str, *, slices: int = 0, watch=lambda _: None) -> Future[None]:
        """Let a thread join; return when it stands in line or runs."""
        stands = threading.Event()

        def look(before: int) -> None:
            stands.set()
            watch(before)

        def work() -> None:
            try:
                with self.line.turn(look, sliced=slices > 0) as turn:
                    self.log.append(name)
                    for _ in range(slices - 1):
                        turn.give_way()
                        self.log.append(name)
            finally:
                stands.set()

        future = self.pool.submit(work)
        assert stands.wait(PATIENCE)
        return future


@contextmanager
def street(bound: int = 16) -> Iterator[Street]:
    with ThreadPoolExecutor(16) as pool:
        yield Street(Line("cpu", bound), pool)


def finish(*visits: Future[None]) -> None:
    for visit in visits:
        visit.result(PATIENCE)


def is_free(line: Line) -> bool:
    """Whether nobody holds the turn or waits; another thread finds out, as one that has it would
    get it again.
    """
    with ThreadPoolExecutor(1) as pool:

        def ask() -> list[int]:
            counts: list[int] = []
            with line.turn(counts.append):
                return counts

        return pool.submit(ask).result(PATIENCE) == [0] and line.waiting == 0


def test_passes_run_in_order_of_arrival():
    """Who uploaded first sees gates first: a lock alone promises no order."""
    with street() as queue:
        with queue.line.turn():
            visits = [queue.join(name) for name in "abcdef"]
            assert queue.log == []
        finish(*visits)
    assert "".join(queue.log) == "abcdef"


def test_nobody_runs_beside_another():
    """Captum's hooks of one must not see another's pass: each goes in and out before the next."""
    inside = []
    counts = []

    def visit(line: Line) -> None:
        for _ in range(20):
            with line.turn(sliced=True) as turn:
                for _ in range(3):
                    inside.append(1)
                    counts.append(len(inside))
                    inside.pop()
                    turn.give_way()

    with street() as queue:
        finish(*(queue.pool.submit(visit, queue.line) for _ in range(8)))
        assert is_free(queue.line)
    assert set(counts) == {1}
    assert len(counts) == 8 * 20 * 3


def test_an_upload_waits_for_one_slice_of_a_long_occlusion():
    """The occlusion has 4 slices; the upload comes during the first and runs before the second."""
    with street() as queue:
        with queue.line.turn(sliced=True) as occlusion:
            queue.log.append("slice")
            upload = queue.join("upload")
            for _ in range(3):
                occlusion.give_way()
                queue.log.append("slice")
        finish(upload)
    assert queue.log == ["slice", "upload", "slice", "slice", "slice"]


def test_passes_and_slices_alternate():
    """Derived by hand: after a pass a slice is due, after a slice a pass, as long as both wait."""
    with street() as queue:
        with queue.line.turn():
            visits = [
                queue.join(name, slices=slices)
                for name, slices in (("A", 3), ("B", 2), ("x", 0), ("y", 0))
            ]
        finish(*visits)
    assert "".join(queue.log) == "AxByABA"


def test_a_long_one_goes_on_however_many_short_ones_come():
    """Eight passes wait before it, and more than half of its slices still run before the last of
    them.
    """
    with street() as queue:
        with queue.line.turn():
            visits = [queue.join("p") for _ in range(8)]
            visits.append(queue.join("S", slices=6))
        finish(*visits)
    assert "".join(queue.log) == "SpSpSpSpSpSppp"


def test_past_the_bound_nobody_may_join():
    """A line of an hour helps nobody: the sentence says how many wait, and what to do."""
    with street(bound=2) as queue:
        with queue.line.turn():
            visits = [queue.join("a"), queue.join("B", slices=2)]
            third = queue.join("c")
            with pytest.raises(
                BusyError,
                match=r"^2 passes wait for cpu already, as many as .* Try again in a minute\.$",
            ):
                third.result(PATIENCE)
        finish(*visits)
        assert is_free(queue.line)
    assert "".join(queue.log) == "BaB", "slices keep their right to come back"


def test_a_waiter_is_told_how_many_are_before_it():
    """The running one counts: two in line and one at work are three before the next."""
    reports: list[int] = []
    with street() as queue:
        with queue.line.turn():
            visits = [queue.join("a"), queue.join("b"), queue.join("c", watch=reports.append)]
            assert reports[0] == 3
        finish(*visits)
    assert reports[-1] == 0
    assert reports == sorted(reports, reverse=True)


def leave_when(cue: threading.Event):
    def watch(_: int) -> None:
        if cue.is_set():
            raise GoneError("gone")

    return watch


def test_who_gives_up_while_waiting_leaves_no_gap():
    """A closed tab is not computed for, and those behind it move up in their order."""
    cue = threading.Event()
    with street() as queue:
        with queue.line.turn():
            first = queue.join("a")
            leaver = queue.join("gone", watch=leave_when(cue))
            last = queue.join("c")
            cue.set()
            with pytest.raises(GoneError, match="gone"):
                leaver.result(PATIENCE)
            assert queue.line.waiting == 2
        finish(first, last)
        assert is_free(queue.line)
    assert queue.log == ["a", "c"]


def test_who_is_unwanted_when_its_turn_comes_does_not_compute():
    """The last look is after the wait: what was replaced meanwhile must not cost a pass."""

    def watch(before: int) -> None:
        if before == 0:
            raise GoneError("gone")

    with street() as queue:
        with queue.line.turn():
            leaver = queue.join("gone", watch=watch)
            waiter = queue.join("b")
        with pytest.raises(GoneError, match="gone"):
            leaver.result(PATIENCE)
        finish(waiter)
        assert is_free(queue.line)
    assert queue.log == ["b"]


def test_who_is_unwanted_between_slices_stops_there():
    """Minutes of an Occlusion that nobody waits for any more are minutes of everybody else."""
    slices = 0

    def watch(_: int) -> None:
        if slices == 2:
            raise GoneError("gone")

    def occlude(turn: Turn) -> None:
        nonlocal slices
        while True:
            slices += 1
            turn.give_way()

    line = Line("cpu", 4)
    with pytest.raises(GoneError, match="gone"), line.turn(watch, sliced=True) as turn:
        occlude(turn)
    assert slices == 2
    assert is_free(line)


@pytest.mark.parametrize("waits", [False, True])
def test_an_error_gives_the_turn_on(waits: bool):
    """A pass that fails, in its first slice or a later one, must not hold up all others for
    ever.
    """

    visits: list[Future[None]] = []

    def fail(turn: Turn) -> None:
        if waits:
            visits.extend([queue.join("a"), queue.join("B", slices=2)])
        turn.give_way()
        raise ValueError("broken")

    with street() as queue:
        with pytest.raises(ValueError, match="broken"), queue.line.turn(sliced=True) as turn:
            fail(turn)
        finish(*visits)
        assert is_free(queue.line)
    assert "".join(queue.log) == ("aBB" if waits else "")


def test_one_that_has_the_turn_keeps_it():
    """An attribution started inside a turn would otherwise wait for itself."""
    line = Line("cpu", 1)
    with line.turn() as outer, line.turn() as inner:
        assert inner is outer
    assert is_free(line)


def test_who_waits_or_is_done_rests():
    """On a CPU the team of a thread that waits would slow down the pass of the one that runs."""
    log: list[str] = []
    line = Line("cpu", 4, rest=lambda: log.append(threading.current_thread().name))

    def visit() -> None:
        with line.turn(stands_in_line):
            log.append("second runs")

    stands = threading.Event()

    def stands_in_line(_: int) -> None:
        stands.set()

    second = threading.Thread(target=visit, name="second")
    with line.turn():
        second.start()
        assert stands.wait(PATIENCE)
        log.append("first runs")
    second.join(PATIENCE)
    first = threading.current_thread().name
    assert log == ["second", "first runs", first, "second runs", "second"]


def test_who_goes_on_at_once_does_not_rest():
    """A long run alone on the device would make a new team for each slice."""
    rests: list[None] = []
    line = Line("cpu", 4, rest=lambda: rests.append(None))
    with line.turn(sliced=True) as turn:
        for _ in range(5):
            turn.give_way()
        assert rests == []
    assert rests == [None]


def test_the_last_step_is_timed():
    """The footer shows it; before the first there is none."""
    line = Line("cpu", 1)
    assert line.step is None
    with line.turn(sliced=True) as turn:
        turn.give_way()
        first = line.step
        assert first is not None
        assert first > 0
    assert line.step != first


def test_those_of_one_kind_share_a_pass():
    """By hand, two at most in a pass: a waits first and takes c along; b is of another kind; d
    comes too late.
    """
    batches: list[list[str]] = []

    def run(items: list[str]) -> list[str]:
        batches.append(items)
        return [item.upper() for item in items]

    answers = {}
    kinds = {"a": 1, "b": 2, "c": 1, "d": 1}
    with street() as queue:

        def visit(name: str, stands: threading.Event) -> None:
            answers[name] = queue.line.share(
                kinds[name], name, run, most=2, watch=lambda _: stands.set()
            )

        with queue.line.turn():
            visits = []
            for name in kinds:
                stands = threading.Event()
                visits.append(queue.pool.submit(visit, name, stands))
                assert stands.wait(PATIENCE)
        finish(*visits)
        assert is_free(queue.line)
    assert batches == [["a", "c"], ["b"], ["d"]]
    assert answers == {name: name.upper() for name in kinds}


def test_a_shared_pass_that_fails_fails_for_its_first_alone():
    """One person's broken input, or full memory, must not end the pass of those who were taken
    along.
    """

    def run(items: list[str]) -> list[str]:
        if "a" in items:
            raise ValueError("a is broken")
        return [item.upper() for item in items]

    with street() as queue:

        def visit(name: str, stands: threading.Event) -> str:
            return queue.line.share(1, name, run, most=9, watch=lambda _: stands.set())

        with queue.line.turn():
            visits = []
            for name in "abc":
                stands = threading.Event()
                visits.append(queue.pool.submit(visit, name, stands))
                assert stands.wait(PATIENCE)
        first, *rest = visits
        with pytest.raises(ValueError, match="a is broken"):
            first.result(PATIENCE)
        assert [future.result(PATIENCE) for future in rest] == ["B", "C"]
        assert is_free(queue.line)


def test_one_that_has_the_turn_shares_with_nobody():
    """It would wait for itself: what it asks for runs inside its own turn."""
    line = Line("cpu", 1)
    with line.turn():
        assert line.share(1, "a", lambda items: [item.upper() for item in items], most=9) == "A"
    assert is_free(line)
