"""The least that shows a photo, an uploader and a picture: what `benchmarks.paint` compares the
app with.
"""

import streamlit as st

st.set_page_config(layout="wide")
photo = st.sidebar.file_uploader("Photo", type=["jpg"])
if photo:
    # About as large as the gate map.
    st.image(photo, width=640)
