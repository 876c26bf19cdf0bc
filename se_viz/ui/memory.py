"""Garbage collection for the app: off the path of clicks, now and then in the background."""

import gc
import threading
import time

_INTERVAL = 15.0
_started = threading.Event()


def keep_memory_flat() -> None:
    """Freeze what is loaded and collect the rest every 15 seconds in a background thread; once a process."""
    gc.collect()
    gc.freeze()
    if not _started.is_set():
        _started.set()
        threading.Thread(target=_collect, daemon=True, name="se_viz-gc").start()


def _collect() -> None:
    while True:
        time.sleep(_INTERVAL)
        gc.collect()
