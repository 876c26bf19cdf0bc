"""Page configuration and navigation; everything else is in `pages/` and `se_viz/ui/`."""

import streamlit as st

from se_viz.ui.explore import show_first_look
from se_viz.ui.frame import (
    show_address,
    show_heading,
    show_image_choice,
    show_link_problems,
    show_problem,
    show_welcome,
)
from se_viz.ui.navigation import ICON, PAGES
from se_viz.ui.session import begin_address, bound_uploads, chosen_image, keys, take_link

bound_uploads()
st.set_page_config(page_title="se_viz", page_icon=str(ICON), layout="wide")
# Navigation first: with a widget above it, the first interaction after the server's start was lost.
first = next(iter(PAGES))
pages = {
    name: st.Page(row.file, title=row.title, icon=f":material/{row.icon}:", default=name == first)
    for name, row in PAGES.items()
}
page = st.navigation(list(pages.values()))
keys.PAGES.set(pages)
name = next(name for name in PAGES if pages[name] == page)
row = PAGES[name]
take_link()
begin_address(name)
show_image_choice()
show_problem()
link_problems = st.container()
welcomes = row.needs == "photo" and chosen_image() is None
if welcomes:
    show_heading(row)
    if name == first:
        show_first_look()
    show_welcome()

# Not above: they load PyTorch, for which nobody should wait before the first picture.
with st.sidebar, st.spinner("Loading PyTorch…"):
    from se_viz.ui.frame import load_ahead, require_network, show_footer, show_network_choice

show_network_choice(loads=row.needs != "nothing")
try:
    if welcomes:
        load_ahead()
    else:
        if row.needs != "nothing":
            require_network()
        page.run()
finally:
    # Also where a page ends early.
    with link_problems:
        show_link_problems()
    show_footer()
    show_address()
