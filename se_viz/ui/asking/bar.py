"""A bar for work of a known length: how far it is, how long it takes, and a button that ends it."""

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial

import streamlit as st

from se_viz.engine import Load
from se_viz.errors import OvertakenError
from se_viz.ui.session import Report, Watch, keys, waiting

STOPPED = "Stopped. Choose something else, or go on."


@contextmanager
def progress(
    text: str, *, key: str, work: Hashable = None, stop: Callable[[], None] | None = None
) -> Iterator[tuple[Watch, Callable[..., None]]]:
    """Yield a watch and a report that draw a bar with an estimate and the button *Stop*.

    Once stopped, the same ``work`` under this ``key`` is not begun again: a sentence and a button
    to go on stand in its place. Work that keeps the parts that are done brings a ``stop`` of its
    own instead.

    Nothing is drawn before the first part is done: what is cached comes at once. The report may be
    told, as a third number, how much was done ``already``, at no cost now.

    Raises:
        OvertakenError: the work was stopped; or from the watch, as in `waiting`.
    """
    if stop is None:
        _end_if_stopped(key, work)
    # Streamlit replays on every hit what a cached function shows; what is shown in this context is
    # forgotten.
    outside = copy_context()
    started = time.perf_counter()
    place = st.empty()
    bars = []

    def show(done: int, total: int, already: int = 0) -> None:
        if not bars:
            with place.container(horizontal=True, vertical_alignment="center"):
                bars.append(st.empty())
                st.button(
                    "Stop",
                    key=f"{keys.STOP}-{key}",
                    on_click=stop or partial(_note_stop, key, work),
                    icon=":material/stop:",
                )
        seconds = estimate_rest(
            time.perf_counter() - started, done=done, total=total, already=already
        )
        bars[0].progress(done / total, text=f"{done} of {total} · about {seconds:.0f} s left")

    try:
        with waiting(text, slow=True) as watch:
            yield watch, lambda *numbers: outside.run(show, *numbers)
    finally:
        place.empty()


def _end_if_stopped(key: str, work: Hashable) -> None:
    if keys.STOPPED.get().get(key) != work:
        return
    st.info(STOPPED)
    st.button(
        "Go on",
        key=f"{keys.GO_ON}-{key}",
        on_click=_note_stop,
        args=(key, None),
        icon=":material/play_arrow:",
    )
    raise OvertakenError(STOPPED)


def _note_stop(key: str, work: Hashable) -> None:
    keys.STOPPED.set({**keys.STOPPED.get(), key: work})


def part_of(report: Report, *, before: int, weight: int, whole: int) -> Report:
    """Return the report of one of several runs: of the ``whole`` it takes a ``weight``, after what
    came ``before``.
    """
    # Something must be done before an estimate can be made.
    return lambda done, total: report(max(1, before + weight * done // total), whole)


def describe_load(load: Load) -> str:
    """Say how much longer than alone something long takes; nothing where nobody else waits."""
    if not load.waiting:
        return ""
    users = load.waiting + 1
    return f" {users} other users share {load.device} now; expect up to {users + 1} times as long."


def estimate_rest(seconds: float, *, done: int, total: int, already: int = 0) -> float:
    """Return how many seconds the rest takes if it goes on as it went since ``already`` were
    done.
    """
    return seconds / (done - already) * (total - done)
