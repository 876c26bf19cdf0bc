"""A part of a page that has no answer: a sentence in its place."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import streamlit as st

from se_viz.errors import OvertakenError, SeVizError
from se_viz.ui.words import as_markdown

P = ParamSpec("P")
T = TypeVar("T")


def attempt(ask: Callable[[], T]) -> T | SeVizError:
    """Return an answer, or the error whose text says why there is none.

    Raises:
        OvertakenError: nobody waits for it any more.
    """
    try:
        return ask()
    except OvertakenError:
        raise
    except SeVizError as refusal:
        return refusal


def page_part(show: Callable[P, None]) -> Callable[P, None]:
    """Let a part of a page end in a sentence where it cannot be shown.

    The rest of the page goes on.
    """

    @wraps(show)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            show(*args, **kwargs)
        except OvertakenError:
            # The newer choice draws this part again at once, or a button to go on stands here.
            return
        except SeVizError as problem:
            st.error(as_markdown(problem))

    return run
