"""The address bar follows what the page shows."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import streamlit as st
from streamlit.components.v2 import component
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx

from se_viz.ui.navigation import PAGES, path_of
from se_viz.ui.session import OTHERS, keys, write_address

P = ParamSpec("P")

_HERE = Path(__file__).parent

_address = component(
    "se_viz_address", js=(_HERE / "address.js").read_text(encoding="utf-8"), html="<div></div>"
)


def show_address(place: str = "page") -> None:
    """Tell the browser the address of what the page shows now; takes no room on the page."""
    page = keys.PAGE.get()
    if page not in PAGES:
        # A page that runs by itself, without `app.py`.
        return
    number = keys.ADDRESS_NUMBER.get() + 1
    keys.ADDRESS_NUMBER.set(number)
    data = {
        "number": number,
        "query": write_address(),
        "page": path_of(page),
        "pages": [path_of(name) for name in PAGES],
        "others": OTHERS,
    }
    # A key for each place: the browser keeps one component for each key.
    _address(key=f"{keys.ADDRESS.name}-{page}-{place}", data=data)


def live_part(show: Callable[P, None]) -> Callable[P, None]:
    """Let a part of a page run by itself when a choice inside it changes, as `st.fragment` does;
    the address follows.
    """

    @st.fragment
    @wraps(show)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        show(*args, **kwargs)
        context = get_script_run_ctx()
        # In a run of the whole page, the page itself tells the address at its end.
        if context and context.fragment_ids_this_run:
            show_address(show.__name__)

    return run
