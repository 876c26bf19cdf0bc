"""Page configuration and navigation; everything else is in `pages/` and `se_viz/ui/`."""

import streamlit as st

from se_viz.ui.footer import show_footer
from se_viz.ui.sidebar import show_problem, show_sidebar

st.set_page_config(page_title="se_viz", page_icon="🎚️", layout="wide")
# Navigation first: with a widget above it, the first interaction after the server's start was lost.
networks = st.Page("pages/networks.py", title="Networks", icon="🗂️", url_path="all-networks")
page = st.navigation(
    [
        st.Page("pages/explore.py", title="Explore", icon="🔍", default=True),
        networks,
        # A path of its own: as "guide" the first visit after a start would bypass this file.
        st.Page("pages/guide.py", title="How to read it", icon="📖", url_path="how-to-read"),
    ]
)
show_sidebar(networks)
show_problem()
try:
    page.run()
finally:
    # Also where a page ends early.
    show_footer()
