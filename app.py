"""Page configuration and navigation; everything else is in `pages/` and `se_viz/ui/`."""

import streamlit as st

from se_viz.ui.frame import show_image_choice, show_problem, show_welcome
from se_viz.ui.session import bound_uploads, chosen_image

bound_uploads()
st.set_page_config(page_title="se_viz", page_icon="🎚️", layout="wide")
# Navigation first: with a widget above it, the first interaction after the server's start was lost.
explore = st.Page("pages/explore.py", title="Explore", icon="🔍", default=True)
microscope = st.Page("pages/microscope.py", title="Open a gate", icon="🔬")
surgery = st.Page("pages/surgery.py", title="Change the gates", icon="🎛️")
matter = st.Page("pages/counterfactuals.py", title="Does it matter?", icon="⚖️")
look = st.Page("pages/attribution.py", title="Where did it look?", icon="🗺️")
networks = st.Page("pages/networks.py", title="Networks", icon="🗂️")
guide = st.Page("pages/guide.py", title="How to read it", icon="📖")
page = st.navigation([explore, microscope, surgery, matter, look, networks, guide])
# For links from other pages.
st.session_state.microscope_page, st.session_state.attribution_page = microscope, look
show_image_choice()
show_problem()
# The other pages begin with an image.
first = chosen_image() is None and page not in (networks, guide)
if first:
    st.title("What did the gates do?")
    show_welcome()

# Not above: they load PyTorch, for which nobody should wait before the first picture.
with st.sidebar, st.spinner("Loading PyTorch…"):
    from se_viz.ui.frame import load_ahead, show_footer, show_network_choice

show_network_choice(networks)
try:
    if first:
        load_ahead()
    else:
        page.run()
finally:
    # Also where a page ends early.
    show_footer()
