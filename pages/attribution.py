"""Where did it look?: attributions of one class, beside each other, by stage, and through the
gates.
"""

import streamlit as st

from se_viz.ui.asking import get_analysis
from se_viz.ui.by_stage import show_stages
from se_viz.ui.frame import enter, require_choices
from se_viz.ui.glossary import explain
from se_viz.ui.session import keys, link_option
from se_viz.ui.side_by_side import show_attributions
from se_viz.ui.through_gates import show_paths
from se_viz.ui.widgets import choose_target

enter(__file__)

choices = require_choices()
analysis = get_analysis(choices)
target, baseline = choose_target(choices, analysis)

views = {
    "Side by side": ("Which pixels count, by several methods?", show_attributions),
    "Stage by stage": ("How does the evidence change with depth?", show_stages),
    "Through the gates": ("How much came through the gates?", show_paths),
}
link_option(keys.ATTRIBUTION_VIEW, views, "Side by side")
view = st.radio(
    "Question",
    list(views),
    captions=[question for question, _ in views.values()],
    horizontal=True,
    key=keys.ATTRIBUTION_VIEW,
    help=explain("gate"),
    persist_state="session",
)
_, show = views[view]
show(choices, analysis, target, baseline)
