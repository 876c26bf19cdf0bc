"""What SE buys: twins with and without SE blocks, trained by one recipe, beside the paper's."""

import streamlit as st

from se_viz.errors import SeVizError
from se_viz.experiments import read_runs, read_times
from se_viz.networks.checkpoints import FOLDER
from se_viz.ui import benefit
from se_viz.ui.frame import enter
from se_viz.ui.words import as_markdown

enter(__file__)

folder = FOLDER / "trials"
try:
    runs = read_runs(folder)
    times = read_times(folder)
except SeVizError as error:
    st.error(as_markdown(error))
    st.stop()

benefit.show_summary(runs)
costs, differences = st.columns([3, 2], gap="large")
with costs:
    st.subheader("Accuracy against cost", anchor=False)
    benefit.show_costs(runs, times)
with differences:
    st.subheader("Twins compared", anchor=False)
    benefit.show_differences(runs)

st.subheader("What the paper reports", anchor=False)
benefit.show_paper()

st.subheader("Gates while training", anchor=False)
benefit.show_training(runs, folder)
