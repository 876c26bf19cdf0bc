"""How to read it: the method in the paper's words, and what each picture can and cannot tell."""

import streamlit as st

from se_viz.ui import guide
from se_viz.ui.frame import enter

enter(__file__)

st.markdown(guide.INTRODUCTION, width=760)

for column, step in zip(st.columns(3, border=True), guide.STEPS, strict=True):
    with column:
        guide.show(step)

place, names = st.columns([2, 3], gap="medium")
with place:
    guide.show(guide.PLACE)
with names:
    guide.show(guide.NAMES)

st.header("The pictures", anchor=False, divider="gray")
for row in (guide.GATES, guide.PIXELS):
    for column, picture in zip(st.columns(2, gap="large"), row, strict=True):
        with column:
            guide.show(picture)

guide.show(guide.HEALTHY, width=760)

with st.container(border=True):
    guide.show(guide.LIMITS)
