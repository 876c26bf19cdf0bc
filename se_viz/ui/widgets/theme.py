"""The colours of figures, which follow the page's theme."""

from dataclasses import replace

import streamlit as st

from se_viz.charts import DARK, LIGHT, Palette
from se_viz.ui.session import keys


def current_palette() -> Palette:
    """Return the colours for the page's theme, light until the browser has told, and the size of
    type.
    """
    palette = DARK if st.context.theme.type == "dark" else LIGHT
    return replace(palette, text_size=18) if keys.PRESENTING.get() else palette
