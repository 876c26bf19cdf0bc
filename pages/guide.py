"""How to read it: the method in the paper's words, and what each picture can and cannot tell."""

import streamlit as st

st.title("How to read it")
