"""What an attribution explains, chosen once for all views of a page."""

import streamlit as st

from se_viz.analysis import Analysis
from se_viz.attribution.baselines import BASELINES
from se_viz.attribution.targets import Target
from se_viz.ui.choices import Choices


def choose_target(choices: Choices, analysis: Analysis) -> tuple[Target, str]:
    """Offer the class, another one that it is held against, and the baseline; return them as chosen."""
    names = choices.network.classes
    ranked = [index for index, _ in analysis.top(len(names))]
    _recall((choices.image.digest, choices.name), ranked[0])
    first, second, third = st.columns([4, 4, 3])
    index = first.selectbox(
        "Why this class", ranked, format_func=names.__getitem__, key="target", persist_state="session"
    )
    against = second.selectbox(
        "And not that one",
        [other for other in ranked if other != index],
        index=None,
        placeholder="No other: the class by itself",
        format_func=names.__getitem__,
        key="against",
        persist_state="session",
    )
    baseline = third.selectbox(
        "Compared with",
        list(BASELINES),
        format_func=lambda key: BASELINES[key].title,
        help="  \n".join(f"**{row.title}**: {row.sentence}" for row in BASELINES.values()),
        key="baseline",
        persist_state="session",
    )
    st.session_state.targets[choices.image.digest, choices.name] = index, against
    return Target(index, against), baseline


def _recall(token: tuple[str, str], predicted: int) -> None:
    """Set the pickers to what was chosen for an image and network, at first to the predicted class.

    Not by keys of their own: the browser keeps a picker whose key is gone until the run ends, which may take minutes.
    """
    targets = st.session_state.setdefault("targets", {})
    if st.session_state.get("target-of") != token:
        st.session_state["target-of"] = token
        st.session_state.target, st.session_state.against = targets.get(token, (predicted, None))


def name_target(choices: Choices, target: Target) -> str:
    """Return the name of the class that is explained, and of the one that it is held against."""
    names = choices.network.classes
    return names[target.index] + ("" if target.against is None else f" and not {names[target.against]}")
