"""Does it matter?: live gates replaced, and each channel's gate against what it does to the
answer.
"""

import streamlit as st

from se_viz.ui.asking import get_analysis
from se_viz.ui.counterfactuals import choose_counterfactual, show_counterfactuals, show_effects
from se_viz.ui.frame import enter, require_choices
from se_viz.ui.navigation import link_guide

enter(__file__)

choices = require_choices()
analysis = get_analysis(choices)

st.markdown(
    "A gate that differs between images need not matter to the answer. Replace the gates, and see."
)
selection = choose_counterfactual(choices)
show_counterfactuals(choices, analysis, selection)

st.header("A gate is not importance", anchor=False, divider="gray")
link_guide("limits")
show_effects(choices, analysis)
