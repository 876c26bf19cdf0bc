"""Memory of the app: garbage is collected off the path of clicks, and what passes free stays for
the next one.

Why: docs/decisions/014-garbage-collection.md
"""

import gc
import threading
import time
from itertools import count

from se_viz.devices import keep_freed_memory

_INTERVAL = 15.0
_ANEW = 8
"""Every so many looks, two minutes, what is frozen is looked at too."""
_started = threading.Event()


def keep_memory_flat() -> None:
    """Freeze what is loaded and collect the rest in a background thread, one a process."""
    keep_freed_memory()
    freeze_anew()
    if not _started.is_set():
        _started.set()
        threading.Thread(target=_collect, daemon=True, name="se_viz-gc").start()


def freeze_anew() -> None:
    """Collect all garbage, and freeze the rest.

    What was frozen before and is garbage by now goes too.

    Frozen for good, a session for which a network is loaded would stay, with its uploads, after it
    has left.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def look(number: int) -> None:
    """Collect garbage; at times that of what was frozen, too, which takes a fifth of a second."""
    if number % _ANEW:
        gc.collect()
    else:
        freeze_anew()


def _collect() -> None:
    for number in count(1):
        time.sleep(_INTERVAL)
        look(number)
