"""Two maps over the photo beside each other, on one scale or each on its own; a phone has them one
below the other.
"""

from collections.abc import Mapping

import numpy as np
import streamlit as st
from PIL import Image

from se_viz.charts import draw_overlay, fit_span
from se_viz.ui.widgets.figures import show_figure
from se_viz.ui.widgets.theme import current_palette


def show_pair(
    photo: Image.Image,
    maps: Mapping[str, tuple[str, np.ndarray]],
    *,
    signed: bool,
    title: str,
    shared: bool = True,
) -> None:
    """Show maps of one size by the key of their figure, each with its heading.

    ``title`` is that of their colours; they have one scale unless ``shared`` is false.
    """
    whole = fit_span(np.stack([values for _, values in maps.values()]), signed=signed)
    # Columns and no subplots, which a phone would draw as small as stamps.
    for place, (key, (heading, values)) in zip(
        st.columns(len(maps), gap="large"), maps.items(), strict=True
    ):
        with place:
            st.markdown(heading)
            span = whole if shared else fit_span(values, signed=signed)
            figure = draw_overlay(
                photo, values, current_palette(), span=span, opacity=0.8, title=title
            )
            show_figure(figure, key, alt=f"{heading.replace('*', '')}, a map over the photo")
