"""What an attribution explains, chosen once for all views of a page."""

import streamlit as st

from se_viz.analysis import Analysis
from se_viz.attribution.targets import Target
from se_viz.ui.choices import Choices


def choose_target(choices: Choices, analysis: Analysis) -> tuple[Target, str]:
    """Offer the class, another one that it is held against, and the baseline; return them as chosen."""
    names = choices.network.classes
    ranked = [index for index, _ in analysis.top(len(names))]
    token = f"{choices.image.digest}-{choices.name}"
    left, right = st.columns(2)
    index = left.selectbox(
        "Class", ranked, format_func=names.__getitem__, key=f"target-{token}", persist_state="session"
    )
    against = right.selectbox(
        "And not that one",
        [other for other in ranked if other != index],
        index=None,
        placeholder="Nothing: the class alone",
        format_func=names.__getitem__,
        key=f"against-{token}",
        persist_state="session",
    )
    return Target(index, against), "mean"
