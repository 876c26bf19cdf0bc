"""The view *Side by side*: any set of methods for the same image and class."""

import streamlit as st

from se_viz.analysis import Analysis
from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.targets import Target
from se_viz.charts.maps import draw_overlay
from se_viz.errors import OvertakenError, SeVizError
from se_viz.ui.cached import get_attribution
from se_viz.ui.choices import Choices, current_palette
from se_viz.ui.figures import show_figure


@st.fragment
def show_attributions(choices: Choices, analysis: Analysis, target: Target, baseline: str) -> None:
    """Show the ticked methods side by side."""
    ticked = st.pills(
        "Methods",
        list(METHODS),
        selection_mode="multi",
        default=["saliency", "integrated_gradients"],
        format_func=lambda key: METHODS[key].title,
        key="methods",
        persist_state="session",
    )
    for place, method in zip(st.columns(max(len(ticked), 1)), ticked, strict=False):
        with place:
            try:
                _show(choices, target, method)
            except OvertakenError:
                return
            except SeVizError as error:
                st.error(str(error))


def _show(choices: Choices, target: Target, method: str) -> None:
    found = get_attribution(*choices.key, target.index, method, None)
    title = f"{METHODS[method].title}, {found.seconds:.2f} s"
    figure = draw_overlay(
        choices.photo, found.map.numpy(), current_palette(), signed=found.signed, opacity=0.8, title=title
    )
    show_figure(figure, f"map-{method}", alt=f"{METHODS[method].title} over the photo")
