"""Every question of a page: answered once for all sessions, behind a text or a bar while it is
not.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from se_viz.engine import Seen
from se_viz.engine.questions import OF_NETWORKS, Case, Question
from se_viz.readings import WHOLE
from se_viz.ui.asking.bar import progress
from se_viz.ui.asking.bounds import BOUNDS
from se_viz.ui.asking.choices import Choices
from se_viz.ui.asking.engine import get_engine
from se_viz.ui.session import Report, Watch, waiting


def case_of(choices: Choices) -> Case:
    """Return what a session has chosen, without the heavy parts."""
    return Case(choices.name, choices.device, choices.image.digest, choices.at)


def ask(choices: Choices, question: Question, text: str, *, slow: bool = False) -> Any:
    """Return the answer to a question about what is chosen.

    Meanwhile show a text, and who runs before.

    A ``slow`` one shows the time, and gives up for a newer choice in its own fragment too.

    Raises:
        OvertakenError: that choice has come while the whole page ran.
        SeVizError: it cannot be answered; the text says why and what to do.
    """
    with waiting(text, slow=slow) as watch:
        return answer(choices, question, watch)


def ask_with_bar(choices: Choices, question: Question, text: str, *, key: str) -> Any:
    """Return the answer to a long question, behind a bar with *Stop*.

    Raises:
        OvertakenError: it was stopped, or a newer choice has come in its own fragment while the
            whole page ran.
        SeVizError: it cannot be answered; the text says why and what to do.
    """
    work = (case_of(choices), question)
    with progress(text, key=key, work=work) as (watch, report):
        return answer(choices, question, watch, report)


def answer(
    choices: Choices,
    question: Question,
    watch: Watch,
    report: Report = lambda *_: None,
    *,
    gallery: Mapping[str, Seen] | None = None,
) -> Any:
    """Return the answer to one of several questions, which share a text or a bar.

    ``gallery`` are further images that it is about, by digest.

    Raises:
        OvertakenError: from the watch.
        SeVizError: it cannot be answered; the text says why and what to do.
    """
    photos = {**choices.all_seen, **(gallery or {})}
    return answer_case(case_of(choices), photos, question, watch, report)


def answer_case(
    case: Case,
    photos: Mapping[str, Seen],
    question: Question,
    watch: Watch,
    report: Report = lambda *_: None,
) -> Any:
    """Return the answer to a question, from its cache where it is known.

    Raises:
        SeVizError: it cannot be answered; the text says why and what to do.
    """
    if isinstance(question, OF_NETWORKS):
        case = replace(case, digest="", at=WHOLE)
    progress = tell_apart(watch, report)
    compute = partial(get_engine().ask, case, photos, question, progress=progress)
    return _CACHES[type(question)](case, question, _compute=compute)


def tell_apart(watch: Watch, report: Report) -> Callable[[int, int, int], None]:
    """Return what an engine tells its progress: a watch hears who runs before, a report how far it
    is.
    """
    last = 0, 0

    def tell(done: int, total: int, ahead: int) -> None:
        nonlocal last
        if (done, total) == last:
            watch(ahead)
        else:
            last = done, total
            report(done, total)

    return tell


def _make_cache(kind: type) -> Callable[..., Any]:
    def compute(case: Case, question: Question, *, _compute: Callable[[], Any]) -> Any:
        return _compute()

    # Streamlit tells caches apart by the names of their functions.
    compute.__qualname__ = f"answer_{kind.__name__}"
    bound = BOUNDS[kind]
    # The text of a frozen value says all of it, and is hashed faster than its parts one by one.
    settings = {
        "max_entries": bound.entries,
        "show_spinner": False,
        "hash_funcs": {Case: repr, kind: repr},
    }
    if bound.shared:
        return st.cache_resource(**settings)(compute)
    return st.cache_data(max_size=bound.size, **settings)(compute)


_CACHES = {kind: _make_cache(kind) for kind in BOUNDS}
