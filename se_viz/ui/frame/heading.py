"""What stands above every page: its heading, the page's style, and the buttons beside it.

Why: docs/decisions/044-one-style-sheet.md
"""

from pathlib import Path

import streamlit as st
from streamlit.components.v2 import component
from streamlit.delta_generator import DeltaGenerator

from se_viz.ui.navigation import PageRow
from se_viz.ui.session import OWN_PHOTO, keys, note, take

_HERE = Path(__file__).parent
_WORDS = {
    "copied": "Link copied.",
    "own": "Link copied. It opens with a sample: an uploaded photo is not in it.",
    "failed": "The browser does not allow it: copy the address bar instead.",
    "present": "Larger type, no sidebar; Page Down and Page Up turn the pages",
}

_tools = component(
    "se_viz_tools",
    html='<div class="tools"><span role="status"></span><button>Copy link</button>'
    '<button>Present</button><nav aria-label="Parts of this page">'
    '<button aria-expanded="false">On this page</button><ul hidden></ul></nav></div>',
    css=(_HERE / "tools.css").read_text(encoding="utf-8"),
    js=(_HERE / "tools.js").read_text(encoding="utf-8"),
)


def show_heading(row: PageRow) -> DeltaGenerator:
    """Show what a page asks, and the buttons *Copy link* and *Present*.

    Return the place between the two.
    """
    note(keys.PRESENTING.name, keys.PRESENTING.get, False)
    if take(keys.PRESENTING.name) == str(True):
        keys.PRESENTING.set(True)
    presenting = keys.PRESENTING.get()
    st.html(_HERE / "page.css")
    if presenting:
        st.html(_HERE / "present.css")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(row.heading or row.title, anchor=False, width="stretch")
        place = st.container(horizontal=True, vertical_alignment="bottom", width="content")
        data = {"own": OWN_PHOTO, "words": _WORDS, "presenting": presenting}
        # With the first photo the welcome gives way to its page.
        data["page"] = f"{row.title}, {'a photo' if keys.IMAGE.get() else 'no photo'}"
        _tools(key=keys.TOOLS, data=data, width="content", on_present_change=_present)
    return place


def _present() -> None:
    keys.PRESENTING.set(bool(keys.value_of(keys.TOOLS).present))
