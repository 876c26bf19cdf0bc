"""What stays loaded on a device: one copy for all, at most so many, the longest unused makes room.

Why: docs/decisions/012-networks-in-memory.md
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

# Seconds between two calls of a watch; a place that becomes free wakes a thread at once.
_LOOK = 0.1


@dataclass(eq=False, slots=True)
class _Resident(Generic[T]):
    """A place: what is in it once it has been loaded, and how many use it."""

    value: T | None = None
    users: int = 0
    loading: threading.Lock = field(default_factory=threading.Lock)


class Residents(Generic[T]):
    """Values by name, of which at most ``bound`` are loaded at a time."""

    def __init__(self, bound: int, move_out: Callable[[T], None]) -> None:
        """Keep at most ``bound`` values; ``move_out`` frees one that nobody uses."""
        self.bound = bound
        self._move_out = move_out
        self._changed = threading.Condition()
        # In order of use: the first is the one that was not used for longest.
        self._residents: dict[str, _Resident[T]] = {}

    @contextmanager
    def borrow(
        self, name: str, load: Callable[[], T], watch: Callable[[], None] = lambda: None
    ) -> Iterator[T]:
        """Yield the value of a name, loaded once for all.

        Inside the ``with`` block it is not moved out.

        Where all places are in use it waits for one, and calls ``watch``, which may raise, again
        and again.
        """
        resident = self._enter(name, watch)
        try:
            with resident.loading:
                if resident.value is None:
                    resident.value = load()
            yield resident.value
        finally:
            self._leave(name, resident)

    def peek(self, name: str) -> T | None:
        """Return the value of a name if it is loaded; its place in the order of use stays."""
        resident = self._residents.get(name)
        return resident.value if resident else None

    def drop(self, name: str) -> None:
        """Move a value out now, unless somebody uses it."""
        with self._changed:
            resident = self._residents.get(name)
            if resident and resident.value is not None and not resident.users:
                del self._residents[name]
                self._move_out(resident.value)
                self._changed.notify_all()

    def _enter(self, name: str, watch: Callable[[], None]) -> _Resident[T]:
        with self._changed:
            while not self._has_room(name):
                self._changed.wait(_LOOK)
                watch()
            resident = self._residents[name] = self._residents.pop(name, None) or _Resident()
            resident.users += 1
            return resident

    def _has_room(self, name: str) -> bool:
        if name in self._residents or len(self._residents) < self.bound:
            return True
        idle = next((key for key, resident in self._residents.items() if not resident.users), None)
        if idle is None:
            return False
        value = self._residents.pop(idle).value
        assert value is not None
        self._move_out(value)
        return True

    def _leave(self, name: str, resident: _Resident[T]) -> None:
        with self._changed:
            resident.users -= 1
            if resident.value is None and not resident.users:
                # Loading failed: an empty place would keep a loaded one out.
                del self._residents[name]
            self._changed.notify_all()
