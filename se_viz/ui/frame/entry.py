"""The way in: the first visit after a server's start goes through `app.py`, whatever its address.

Why: docs/decisions/029-the-first-page-loads-no-pytorch.md
"""

from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.pages_manager import PagesManager

from se_viz.ui.frame.heading import show_heading
from se_viz.ui.navigation import PAGES


def enter(file: str) -> DeltaGenerator:
    """Begin a page with its heading and the buttons beside it.

    Return the place between the two, for what has to stand in the first screen.

    Start over with `app.py` where Streamlit runs the file of a page by itself.

    It takes a folder named `pages` for the whole app until `st.navigation` has been called once.
    """
    if PagesManager.uses_pages_directory:
        # Hidden: `app.py` draws the true one at once. With this page in it, whose address is no
        # unknown one then.
        st.navigation(["app.py", file], position="hidden")
        st.rerun()
    return show_heading(
        next(row for row in PAGES.values() if Path(row.file).name == Path(file).name)
    )
