"""How this process gets memory from the kernel.

Changed by programs of ours alone, never by the library.
"""

import ctypes
import sys
from functools import cache

# malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT = 128 << 20
_LARGE = 1 << 30


@cache
def keep_freed_memory() -> bool:
    """Let up to 128 MiB of freed memory stay with this process.

    Return whether its C library can, as GNU's does.

    Else feature maps go back to the kernel after every pass and come again page by page, which
    takes up to a fifth of the time of a pass.
    """
    process = ctypes.CDLL(None) if sys.platform == "linux" else None
    # Also musl has a function of that name, which does nothing.
    if not hasattr(process, "gnu_get_libc_version"):
        return False
    return all(
        process.mallopt(*setting)
        for setting in ((_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, _KEPT))
    )
