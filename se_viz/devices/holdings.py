"""Which sessions hold which networks that they brought: how many they may, and when those go."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from se_viz.errors import BusyError

_AWAY = 150.0
"""Seconds after which a session that has left is gone; Streamlit lets a browser come back for
120."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What may be held at a time."""

    networks: int
    size: int
    """Bytes of weights, in single precision."""


SESSION = Quota(networks=3, size=2**30)
SERVER = Quota(networks=32, size=8 * 2**30)


@dataclass(slots=True)
class Holding:
    """A network that is held for sessions."""

    size: int
    sessions: dict[str, float] = field(default_factory=dict)
    """When each was last known to be here, by its id."""


class Holdings:
    """Which sessions hold which networks; one for a server."""

    def __init__(self, drop: Callable[[str], None]) -> None:
        """``drop`` deletes a network that nobody holds any more."""
        self._drop = drop
        self._lock = threading.RLock()
        self._holdings: dict[str, Holding] = {}

    def check(self, session: str, name: str, size: int) -> None:
        """Check that a session may hold one more network.

        Raises:
            BusyError: it, or all together, hold too much.
        """
        with self._lock:
            own = {
                key: holding.size
                for key, holding in self._holdings.items()
                if session in holding.sessions
            }
            sizes = {key: holding.size for key, holding in self._holdings.items()}
        if name in own:
            return
        if len(own) >= SESSION.networks or sum(own.values()) + size > SESSION.size:
            raise BusyError(
                f"You hold {len(own)} networks of {sum(own.values()) / 1e6:.0f} MB, and this one "
                f"has {size / 1e6:.0f} MB: one person may hold {SESSION.networks} and "
                f"{SESSION.size / 1e6:.0f} MB. Remove one under *On this disk* first."
            )
        if name not in sizes and (
            len(sizes) >= SERVER.networks or sum(sizes.values()) + size > SERVER.size
        ):
            raise BusyError(
                f"All who use this app together hold {len(sizes)} networks, as many as it has "
                "room for. Wait until somebody leaves, or run se_viz on a machine of your own."
            )

    def hold(self, session: str, name: str, size: int, now: float) -> None:
        """Hold a network for a session."""
        with self._lock:
            self._holdings.setdefault(name, Holding(size)).sessions[session] = now

    def holds(self, session: str, name: str) -> bool:
        """Tell whether a session holds a network."""
        with self._lock:
            return name in self._holdings and session in self._holdings[name].sessions

    def give_up(self, session: str, name: str) -> None:
        """Let a session give up a network; with the last that holds it, it goes."""
        with self._lock:
            holding = self._holdings.get(name)
            if holding is None or holding.sessions.pop(session, None) is None or holding.sessions:
                return
            del self._holdings[name]
            self._drop(name)

    def sweep(self, is_here: Callable[[str], bool], now: float) -> int:
        """Let go what sessions hold that have left, and return how many networks are still held."""
        with self._lock:
            for name, holding in list(self._holdings.items()):
                for session, last in list(holding.sessions.items()):
                    if is_here(session):
                        holding.sessions[session] = now
                    elif now - last > _AWAY:
                        self.give_up(session, name)
            return len(self._holdings)
