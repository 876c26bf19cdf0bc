"""What a session does while it waits for a device: say how many are before it, and go when nobody
wants the answer.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from typing import TypeAlias

import streamlit as st
from streamlit.runtime.scriptrunner import StopException
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState, get_script_run_ctx

from se_viz.errors import OvertakenError
from se_viz.ui.session import keys

Watch: TypeAlias = Callable[[int], None]
"""Told how many run before, again and again while a question waits, and before each pass. May
raise to give up."""

Report: TypeAlias = Callable[[int, int], None]
"""Told how much is done, and how much there is."""


@contextmanager
def waiting(text: str, *, slow: bool = False) -> Iterator[Watch]:
    """Yield a watch that shows ``text`` and the place in line, and ends a run whose answer nobody
    wants.

    A ``slow`` one shows the time, and gives up for a newer choice in its own fragment too.

    Raises:
        OvertakenError: from the watch, where that choice has come while the whole page ran.
    """
    # Streamlit replays on every hit what a cached function shows; what is shown in this context is
    # forgotten.
    outside = copy_context()
    # Also where nothing is waited for: what follows would change its place on the page, and be
    # drawn from scratch.
    place = st.empty()
    places: list[int] = []
    spinner = ExitStack()

    def watch(before: int) -> None:
        stop_if_unwanted()
        if slow:
            _stop_if_rechosen()
        # Once it has had a turn, the text stays: between slices places change too fast to be read.
        if places[-1:] not in ([0], [before]):
            places.append(before)
            spinner.close()
            words = f"{text} {before} ahead of you" if before else text
            spinner.enter_context(place)
            spinner.enter_context(st.spinner(words, show_time=slow))

    try:
        yield lambda before: outside.run(watch, before)
    finally:
        # Where it was opened: elsewhere, it would close a container of the page instead.
        outside.run(spinner.close)


def stop_if_unwanted() -> None:
    """End a run that a newer one replaces, or whose session has gone away."""
    # Reading the state is where Streamlit ends such a run.
    keys.IMAGE.get()


def _stop_if_rechosen() -> None:
    # A choice in a fragment ends no run in Streamlit; it would come after minutes that nobody
    # wants.
    context = get_script_run_ctx(suppress_warning=True)
    if context is None or context.script_requests is None:
        return
    fragment = ThreadState.get().fragment_id
    requests = context.script_requests
    if (
        requests._state is ScriptRequestType.RERUN
        and fragment in requests._rerun_data.fragment_id_queue
    ):
        if context.fragment_ids_this_run == [fragment]:
            raise StopException
        raise OvertakenError("The selection has changed: the new result comes next. Wait a moment.")
