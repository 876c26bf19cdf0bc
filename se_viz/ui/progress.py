"""A bar for work of a known length: how far it is, how long it will take, and a button that ends it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context

import streamlit as st

from se_viz.line import Watch
from se_viz.ui.waiting import waiting
from se_viz.variants import Report


@contextmanager
def progress(text: str, *, key: str, stop: Callable[[], None]) -> Iterator[tuple[Watch, Report]]:
    """Yield a watch and a report that draw a bar with an estimate; its button calls ``stop``, and ends the run.

    Nothing is drawn before the first part is done: what is cached comes at once.

    Raises:
        OvertakenError: from the watch, as in `waiting`.
    """
    # Streamlit replays on every hit what a cached function shows; what is shown in this context is forgotten.
    outside, started, place = copy_context(), time.perf_counter(), st.empty()
    bars = []

    def show(done: int, total: int) -> None:
        if not bars:
            with place.container(horizontal=True, vertical_alignment="center"):
                bars.append(st.empty())
                st.button("Stop", key=f"stop-{key}", on_click=stop, icon=":material/stop:")
        left = (time.perf_counter() - started) / done * (total - done)
        bars[0].progress(done / total, text=f"{done} of {total} · about {left:.0f} s left")

    try:
        with waiting(text, slow=True) as watch:
            yield watch, lambda done, total: outside.run(show, done, total)
    finally:
        place.empty()
