"""Open a gate: one channel followed through its block's arithmetic, and which channels move its
gate.
"""

import streamlit as st

from se_viz.ui import microscope
from se_viz.ui.asking import get_analysis
from se_viz.ui.frame import enter, require_choices
from se_viz.ui.navigation import link_guide
from se_viz.ui.widgets import block_kept_open, choose_block, choose_channel

beside = enter(__file__)

choices = require_choices()
analysis = get_analysis(choices, block_kept_open(choices.network.inspection.sites))
# Beside the heading: the block below is then seen whole without scrolling.
with beside, st.container(width=150):
    block = choose_block(analysis, words=("block", "stage", "stride"))
record = get_analysis(choices, block).record(block)
with beside, st.container(width=160):
    channel = choose_channel(record, words=("channel", "gate", "squeeze", "excitation"))

microscope.show_steps(choices, analysis, record, channel)
st.caption(microscope.describe_channel(record, channel))
link_guide("block")

st.header("Which channels move this gate?", anchor=False)
microscope.show_influence(choices, record, channel)
microscope.show_evidence(choices, analysis, block, channel)
