"""Teams of threads that PyTorch computes with on the CPU: each thread that computes has one of its
own.

Why: docs/decisions/013-teams-of-threads.md
"""

import ctypes
import sys
from collections.abc import Callable
from functools import cache

_SOFT = 1


def dismiss_team() -> None:
    """End the OpenMP team of this thread.

    It gets a new one, in about 0.1 ms, when it computes again.

    With more threads in all teams than cores, GNU's OpenMP lets the members sleep between two loops
    instead of keeping them ready, though all but one team are idle: a second team halves the speed
    of passes of one image. Where PyTorch computes with something else, nothing is done.
    """
    _pause()(_SOFT)


@cache
def _pause() -> Callable[[int], object]:
    # OpenMP 5.0, section 3.2.44; in LLVM's library a pause is that of all threads, also of those
    # that compute.
    if sys.platform != "linux":
        return _do_nothing
    process = ctypes.CDLL(None)
    gnu = hasattr(process, "GOMP_parallel") and not hasattr(process, "__kmpc_fork_call")
    return (
        process.omp_pause_resource_all
        if gnu and hasattr(process, "omp_pause_resource_all")
        else _do_nothing
    )


def _do_nothing(_: int) -> None:
    pass
