"""Listeners that are open: those of this thread, and those of all.

Why: docs/decisions/003-one-model-many-sessions.md
"""

import threading
import weakref
from contextvars import ContextVar

from torch.compiler import is_dynamo_compiling

from se_viz.gates.listeners import Listener

_listeners: ContextVar[tuple["weakref.ref[Listener]", ...]] = ContextVar("listeners", default=())
_everywhere: tuple["weakref.ref[Listener]", ...] = ()
_lock = threading.RLock()


def add_listener(listener: Listener) -> None:
    """Open a listener in this thread; those of any thread that have ended go."""
    global _everywhere
    listener.thread = threading.get_ident()
    with _lock:
        # One that a collector ends meanwhile may stay until the next: it has no thread then, and
        # counts no more.
        still_open = [reference for reference in _everywhere if _is_open(reference)]
        _everywhere = (*still_open, weakref.ref(listener))
    _listeners.set((*_open(), weakref.ref(listener)))


def remove_listener(listener: Listener) -> None:
    """End a listener, in whatever thread or context."""
    # Its own context may be out of reach from here: there it counts no more, and goes with the
    # next change.
    listener.thread = 0
    _listeners.set(tuple(reference for reference in _open() if reference() is not listener))


def listeners_here() -> list[Listener]:
    """Return the open listeners of this thread, the outermost first."""
    if is_dynamo_compiling():
        # Another thread, or a function around the model, is being compiled: hooks are to leave
        # nothing there.
        return []
    thread = threading.get_ident()
    # A context that was copied to another thread brings its listeners along: they are not meant.
    listeners = [reference() for reference in _listeners.get()]
    return [listener for listener in listeners if listener and listener.thread == thread]


def listeners_everywhere() -> list[Listener]:
    """Return the listeners of all threads, of which some may have ended."""
    return [listener for reference in _everywhere if (listener := reference())]


def _open() -> tuple["weakref.ref[Listener]", ...]:
    return tuple(reference for reference in _listeners.get() if _is_open(reference))


def _is_open(reference: "weakref.ref[Listener]") -> bool:
    listener = reference()
    return listener is not None and listener.thread != 0
