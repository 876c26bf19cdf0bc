"""The way in: the first visit after a server's start goes through `app.py`, whatever its address.

Why: docs/decisions/029-the-first-page-loads-no-pytorch.md
"""

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager


def enter(file: str) -> None:
    """Start over with `app.py` where Streamlit runs the file of a page by itself.

    It takes a folder named `pages` for the whole app until `st.navigation` has been called once.
    """
    if PagesManager.uses_pages_directory:
        # Hidden: `app.py` draws the true one at once. With this page in it, whose address is no
        # unknown one then.
        st.navigation(["app.py", file], position="hidden")
        st.rerun()
