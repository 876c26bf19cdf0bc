"""A device's line: one pass at a time in order of arrival, long ones in slices, and a bound on who
waits.

Why: docs/decisions/011-one-line-a-device.md
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from se_viz.errors import BusyError

Item = TypeVar("Item")
Result = TypeVar("Result")
Report = Callable[[int, int], None]
"""Told how much is done, and how much there will be in the end."""
Watch = Callable[[int], None]
"""Told how many run before; called again and again while waiting, and with 0 before computing. May
raise to give up."""

# Seconds between two calls of a watch; the turn itself wakes a thread at once.
_LOOK = 0.1


@dataclass(eq=False, slots=True)
class _Errand:
    """One item of a pass that may hold several; its answer once somebody has run it."""

    kind: Hashable
    item: Any
    answers: list[Any] = field(default_factory=list)


class Turn:
    """The right to use a device, for as long as the ``with`` block of `Line.turn` lasts."""

    def __init__(
        self, line: "Line", watch: Watch, *, sliced: bool = False, errand: _Errand | None = None
    ) -> None:
        self._line = line
        self._watch = watch
        self._sliced = sliced
        self._errand = errand
        self._thread = threading.get_ident()
        self._called = threading.Event()

    def give_way(self) -> None:
        """Let others run, if any wait; return when it is this one's turn again.

        To be called where nothing of this pass is left on the model. Whatever the watch raises ends
        the pass.
        """
        self._line._rejoin(self)
        self._wait()

    def _wait(self) -> None:
        if not self._called.is_set():
            self._line._rest()
        while not self._called.is_set():
            if before := self._line.before(self):
                self._watch(before)
            self._called.wait(_LOOK)
        self._watch(0)


class Line:
    """Threads that want one device.

    Short passes stand in one queue and slices of long ones in another, each in order of arrival;
    while both wait they alternate. So a short pass waits for as many slices as there are short
    passes before it, however long the whole of them takes, and a long one goes on however many
    short ones come.
    """

    def __init__(self, name: str, bound: int, *, rest: Callable[[], None] = lambda: None) -> None:
        """Make the line of the device ``name``, in which at most ``bound`` passes wait.

        ``rest`` is called by each thread that is about to wait, or is done.
        """
        self.name = name
        self.bound = bound
        self._rest = rest
        self.step: float | None = None
        """Seconds that the last pass or slice took."""
        self._lock = threading.Lock()
        self._passes: deque[Turn] = deque()
        self._slices: deque[Turn] = deque()
        self._now: Turn | None = None
        self._since = 0.0
        self._slice_is_due = False

    @contextmanager
    def turn(self, watch: Watch = lambda _: None, *, sliced: bool = False) -> Iterator[Turn]:
        """Wait for the turn, and hold it inside the ``with`` block.

        ``sliced`` is for work that calls `Turn.give_way` now and then. A thread that has the turn
        keeps it.

        Raises:
            BusyError: too many wait already.
        """
        own_turn = self._own_turn()
        if own_turn:
            yield own_turn
        else:
            with self._taken(Turn(self, watch, sliced=sliced)) as turn:
                yield turn

    def share(
        self,
        kind: Hashable,
        item: Item,
        run: Callable[[list[Item]], list[Result]],
        *,
        most: int,
        watch: Watch = lambda _: None,
    ) -> Result:
        """Return what ``run`` makes of an item, in one pass with up to ``most`` items of its kind
        that wait.

        Whose turn it is runs for the others, who then leave the line. Where that fails, it fails
        for this one alone: the others keep their places.

        Raises:
            BusyError: too many wait already.
        """
        if self._own_turn():
            return run([item])[0]
        errand = _Errand(kind, item)
        with self._taken(Turn(self, watch, errand=errand)):
            if not errand.answers:
                together = [errand, *islice(self._waiting_for(kind), most - 1)]
                answers = run([waiter.item for waiter in together])
                for waiter, answer in zip(together, answers, strict=True):
                    waiter.answers.append(answer)
                self._dismiss_answered()
        return errand.answers[0]

    @property
    def waiting(self) -> int:
        """Number of passes and slices that wait."""
        return len(self._passes) + len(self._slices)

    def before(self, turn: Turn) -> int:
        """Return how many of its own kind run before a turn, the running one included.

        0: it runs.
        """
        with self._lock:
            queue = self._queue(turn)
            return queue.index(turn) + 1 if turn in queue else 0

    def _own_turn(self) -> Turn | None:
        turn = self._now
        return turn if turn and turn._thread == threading.get_ident() else None

    @contextmanager
    def _taken(self, turn: Turn) -> Iterator[Turn]:
        self._join(turn)
        try:
            turn._wait()
            yield turn
        finally:
            self._rest()
            self._leave(turn)

    def _waiting_for(self, kind: Hashable) -> list[_Errand]:
        with self._lock:
            return [
                turn._errand for turn in self._passes if turn._errand and turn._errand.kind == kind
            ]

    def _dismiss_answered(self) -> None:
        with self._lock:
            for turn in [turn for turn in self._passes if turn._errand and turn._errand.answers]:
                self._passes.remove(turn)
                turn._called.set()

    def _queue(self, turn: Turn) -> deque[Turn]:
        return self._slices if turn._sliced else self._passes

    def _join(self, turn: Turn) -> None:
        with self._lock:
            if self._now is None:
                self._call(turn)
            elif self.waiting >= self.bound:
                raise BusyError(
                    f"{self.waiting} passes wait for {self.name} already, as many as it has places "
                    "for. Try again in a minute."
                )
            else:
                self._queue(turn).append(turn)

    def _rejoin(self, turn: Turn) -> None:
        with self._lock:
            if self.waiting:
                turn._called.clear()
                self._queue(turn).append(turn)
                self._call_next()
            else:
                self._note_step()

    def _leave(self, turn: Turn) -> None:
        with self._lock:
            if self._now is turn:
                self._call_next()
            elif turn in self._queue(turn):
                self._queue(turn).remove(turn)

    def _call_next(self) -> None:
        self._note_step()
        self._now = None
        # In turns while both wait; an empty queue gives its turn to the other.
        queues = [self._passes, self._slices]
        if self._slice_is_due:
            queues.reverse()
        queue = queues[0] or queues[1]
        if queue:
            self._call(queue.popleft())

    def _call(self, turn: Turn) -> None:
        self._now = turn
        self._since = time.perf_counter()
        self._slice_is_due = not turn._sliced
        turn._called.set()

    def _note_step(self) -> None:
        now = time.perf_counter()
        self.step = now - self._since
        self._since = now
