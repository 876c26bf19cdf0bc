"""Does it matter?: live gates replaced, and each channel's gate against what it does to the answer."""

import streamlit as st

from se_viz.errors import SeVizError
from se_viz.ui.cached import get_analysis
from se_viz.ui.choices import require_choices
from se_viz.ui.counterfactuals import choose_counterfactual, show_counterfactuals
from se_viz.ui.effects import show_effects
from se_viz.ui.entry import enter
from se_viz.ui.words import as_markdown

enter(__file__)

st.title("Does it matter?")
choices = require_choices()
analysis = get_analysis(choices)

st.markdown("A gate that differs between images need not matter to the answer. Replace the gates, and see.")
chosen = choose_counterfactual(choices)
try:
    show_counterfactuals(choices, analysis, chosen)
except SeVizError as problem:
    st.error(as_markdown(problem))

st.header("A gate is not importance", anchor=False, divider="gray")
show_effects(choices, analysis)
