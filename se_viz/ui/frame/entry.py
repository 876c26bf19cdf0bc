"""The way in: the first visit after a server's start goes through `app.py`, whatever its address.

Why: docs/decisions/029-the-first-page-loads-no-pytorch.md
"""

from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx

from se_viz.ui.frame.heading import show_heading
from se_viz.ui.navigation import PAGES
from se_viz.ui.session import keys


def enter(file: str) -> DeltaGenerator:
    """Begin a page with its heading and the buttons beside it.

    Return the place between the two, for what has to stand in the first screen.

    Start over with `app.py` where Streamlit runs the file of a page by itself.

    It takes a folder named `pages` for the whole app until `st.navigation` has been called once.
    """
    if PagesManager.uses_pages_directory or _app_was_left_out():
        # Hidden: `app.py` draws the true one at once. With this page in it, whose address is no
        # unknown one then.
        st.navigation(["app.py", file], position="hidden")
        st.rerun()
    return show_heading(
        next(row for row in PAGES.values() if Path(row.file).name == Path(file).name)
    )


def _app_was_left_out() -> bool:
    """Return whether `app.py` has not run in this session, though the server serves it.

    Two browsers may be the first: one is given a page's file alone, and before it gets here the
    other one's `app.py` has called `st.navigation`.
    """
    context = get_script_run_ctx()
    if context is None or keys.PAGES.get():
        return False
    # A page that is tested alone is the main script itself, or another one runs it.
    return Path(context.main_script_path).name == "app.py"
