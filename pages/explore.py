"""Explore: one image, its answer, every gate, and the pixels the answer came from."""

import streamlit as st

from se_viz.gates.tables import label_blocks
from se_viz.ui import explore, microscope
from se_viz.ui.asking import get_analysis
from se_viz.ui.frame import enter, require_choices
from se_viz.ui.session import keys, link_option
from se_viz.ui.widgets import block_kept_open, open_channel_of

enter(__file__)

choices = require_choices()
# With the maps of the block that is open: one pass for all that the page shows of the photo.
analysis = get_analysis(choices, block_kept_open(choices.network.inspection.sites))

answer, gates = st.columns([2, 5], gap="medium")
# Before the photo and its answer, which the browser draws in less time than it takes to send them.
with gates:
    selected = explore.show_gates(choices, analysis)
with answer:
    explore.show_answer(choices, analysis)

record = get_analysis(choices, selected).record(selected)
channel = open_channel_of(record)
label = label_blocks(analysis.records)[selected]
link_option(keys.STEPS, [False, True], False)
steps = st.expander(
    f"Channel {channel} of {label}, step by step", key=keys.STEPS, on_change="rerun"
)
if steps.open:
    with steps:
        microscope.show_steps(choices, analysis, record, channel)

pixels, block = st.columns([3, 4], gap="medium")
with block:
    explore.show_block(choices, analysis, selected)

st.subheader("Numbers")
explore.show_numbers(analysis)
explore.show_downloads(choices, analysis)
explore.show_bundles(choices, analysis)

# Late, although it stands beside the block: it takes both cores, which the browser needs to paint
# the gates.
with pixels:
    st.subheader("Where the answer came from")
    explore.show_attribution(choices, analysis)

st.subheader(f"Another {choices.noun} beside it")
explore.show_comparison(choices, analysis)

# After all else: it takes a pass for each image of the gallery.
st.subheader("Are these gates healthy?")
explore.show_health(choices, analysis)
