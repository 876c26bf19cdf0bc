"""Memory of the app: collected and given back off the path of clicks, now and then in the background."""

import ctypes
import gc
import sys
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
        _give_back()


def _give_back() -> None:
    # Every session is a thread, and glibc keeps what each of them has freed: gigabytes after a class.
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
