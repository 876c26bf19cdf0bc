"""Networks: what there is, what it costs and what SE adds, fetching one, looking inside, bringing
one's own.
"""

import streamlit as st

from se_viz.ui import networks
from se_viz.ui.frame import enter

enter(__file__)

card, place = networks.choose_card()
if card:
    with place:
        networks.show_details(card)
    networks.show_blocks(card)

yours, disk = st.columns(2, gap="large")
with yours:
    st.subheader("Your own network", anchor=False)
    networks.show_own(card)
with disk:
    st.subheader("On this disk", anchor=False)
    networks.show_kept()
    networks.show_cache()
