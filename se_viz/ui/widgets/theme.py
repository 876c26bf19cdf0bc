"""The colours of figures, which follow the page's theme."""

import streamlit as st

from se_viz.charts import DARK, LIGHT, Palette


def current_palette() -> Palette:
    """Return the colours for the page's theme, light until the browser has told."""
    return DARK if st.context.theme.type == "dark" else LIGHT
