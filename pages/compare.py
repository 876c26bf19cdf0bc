"""Two networks: answers, gates and maps of two networks for one photo, and what differs."""

import streamlit as st

from se_viz.ui import two_networks
from se_viz.ui.asking import get_analysis
from se_viz.ui.frame import enter, require_choices
from se_viz.ui.words import plain

enter(__file__)

choices = require_choices(gates=False)
st.markdown(
    f"**{plain(choices.network.card.title)}**, chosen in the sidebar, and a second network before "
    f"the same {choices.noun}: what they answer, what their gates do, and where they look."
)
other = two_networks.choose_second(choices)
first, second = two_networks.pair_up(choices, get_analysis(choices), other, get_analysis(other))

two_networks.show_answers(first, second)
two_networks.show_gates(first, second)
two_networks.show_maps(first, second)
