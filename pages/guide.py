"""How to read it: the method in the paper's words, and what each picture can and cannot tell."""

import streamlit as st

from se_viz.ui import guide
from se_viz.ui.frame import enter

enter(__file__)

st.markdown(guide.INTRODUCTION, width=760)
guide.show_pictured(guide.BLOCK)
excitation = guide.show_steps()
guide.show_words(guide.STAGES)

st.header("The pictures", anchor=False, divider="gray")
for passage in guide.PICTURED:
    guide.show_pictured(passage)
for pair in guide.MORE:
    for column, passage in zip(st.columns(2, gap="large"), pair, strict=True):
        with column:
            guide.show_words(passage)
with st.container(border=True):
    guide.show_words(guide.LIMITS)

guide.scroll_to_passage()
# After all else: the network may have to be loaded for it.
guide.name_ratio(excitation)
