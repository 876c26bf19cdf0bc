"""Memory of the app: garbage is collected off the path of clicks, and what passes free stays for the next one."""

import gc
import threading
import time

from se_viz.allocator import keep_freed_memory

_INTERVAL = 15.0
_started = threading.Event()


def keep_memory_flat() -> None:
    """Freeze what is loaded and collect the rest every 15 seconds in a background thread; once a process."""
    keep_freed_memory()
    gc.collect()
    gc.freeze()
    if not _started.is_set():
        _started.set()
        threading.Thread(target=_collect, daemon=True, name="se_viz-gc").start()


def _collect() -> None:
    while True:
        time.sleep(_INTERVAL)
        gc.collect()
