"""Who stays loaded and who makes room; threads meet at events and never sleep."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from se_viz.devices.residents import Residents

PATIENCE = 300.0


class GoneError(Exception):
    """What a watch raises when nobody wants the answer."""


def make(bound: int) -> tuple[Residents[str], list[str]]:
    out: list[str] = []
    return Residents(bound, out.append), out


def use(residents: Residents[str], *names: str) -> None:
    for name in names:
        with residents.borrow(name, name.upper) as value:
            assert value == name.upper()


def test_one_copy_serves_all():
    """Eight people who choose a network at once wait for one load, and get the very same object."""
    residents: Residents[object] = Residents(2, lambda _: None)
    loads = []
    start = threading.Barrier(8)

    def load() -> object:
        loads.append(1)
        return object()

    def visit() -> int:
        start.wait(PATIENCE)
        with residents.borrow("a", load) as value:
            return id(value)

    with ThreadPoolExecutor(8) as pool:
        ids = {visit.result(PATIENCE) for visit in [pool.submit(visit) for _ in range(8)]}
    assert len(loads) == len(ids) == 1


def test_the_longest_unused_makes_room():
    """By hand: a b c, then a again; d finds b unused for longest, e then c."""
    residents, out = make(3)
    use(residents, "a", "b", "c", "a", "d", "e")
    assert out == ["B", "C"]
    assert [residents.peek(name) for name in "abcde"] == ["A", None, None, "D", "E"]


def test_one_in_use_is_never_moved_out():
    """It is the longest unused by far, but a pass runs on it: the other one goes."""
    residents, out = make(2)
    with residents.borrow("a", lambda: "A"):
        use(residents, "b", "c", "d")
        assert out == ["B", "C"]
    use(residents, "e")
    assert out == ["B", "C", "A"]


def test_where_all_are_in_use_one_waits():
    """The bound holds whoever asks: memory that is not there cannot be given."""
    residents, out = make(1)
    waits = threading.Event()
    with ThreadPoolExecutor(1) as pool:

        def visit() -> str:
            with residents.borrow("b", lambda: "B", waits.set) as value:
                return value

        with residents.borrow("a", lambda: "A"):
            visitor = pool.submit(visit)
            assert waits.wait(PATIENCE)
            assert (residents.peek("b"), out) == (None, [])
        assert visitor.result(PATIENCE) == "B"
    assert out == ["A"]


def test_who_gives_up_waiting_leaves_nothing_behind():
    """A closed tab must not take a place."""
    residents, out = make(1)

    def gone() -> None:
        raise GoneError("gone")

    with residents.borrow("a", lambda: "A"):
        with pytest.raises(GoneError, match="gone"), residents.borrow("b", lambda: "B", gone):
            pass
        use(residents, "a")
    assert out == []
    use(residents, "b")
    assert out == ["A"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_load_that_fails_is_tried_again(error: type[BaseException]):
    """A broken file that was mended must load, and the failure must not keep a place."""
    residents, out = make(1)

    def fail() -> str:
        raise error("damaged")

    with pytest.raises(error, match="damaged"), residents.borrow("a", fail):
        pass
    use(residents, "b", "a")
    assert out == ["B"]


def test_an_error_of_the_borrower_gives_the_network_back():
    """A failed pass is over: its network may make room again."""
    residents, out = make(1)
    with pytest.raises(ValueError, match="broken"), residents.borrow("a", lambda: "A"):
        raise ValueError("broken")
    use(residents, "b")
    assert out == ["A"]


def test_many_threads_never_exceed_the_bound():
    """Counted where it matters: at every load, how many are loaded and not moved out."""
    in_memory: set[str] = set()
    most: list[int] = []
    residents = Residents[str](3, in_memory.discard)

    def load(name: str) -> Callable[[], str]:
        def loaded() -> str:
            in_memory.add(name)
            most.append(len(in_memory))
            return name

        return loaded

    def visit(start: int) -> None:
        for step in range(50):
            name = "abcdefg"[(start + step * (start + 1)) % 7]
            with residents.borrow(name, load(name)) as value:
                assert value == name
                assert name in in_memory

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(visit, start) for start in range(8)]:
            future.result(PATIENCE)
    assert max(most) == 3
