"""What an attribution explains, chosen once for all views of a page."""

import streamlit as st

from se_viz.attribution.question import BASELINES, Target
from se_viz.experiments import Analysis
from se_viz.ui.asking import Choices
from se_viz.ui.session import keys, link_option, note
from se_viz.ui.widgets.pickers import choose_class


def choose_target(choices: Choices, analysis: Analysis) -> tuple[Target, str]:
    """Offer the class, another one that it is held against, and the baseline.

    Return them as chosen.
    """
    first, second, third = st.columns([4, 4, 3])
    with first:
        index = choose_class(
            choices, analysis, "Why this class", words=("class", "logit", "attribution")
        )
    with second:
        against = _choose_other(choices, analysis, index)
    link_option(keys.BASELINE, BASELINES, next(iter(BASELINES)))
    photos = choices.network.sees_photos
    baseline = third.selectbox(
        "Compared with",
        list(BASELINES),
        format_func=lambda key: BASELINES[key].name(photos=photos),
        help="  \n".join(
            f"**{row.name(photos=photos)}**: {row.describe(photos=photos)}"
            for row in BASELINES.values()
        ),
        key=keys.BASELINE,
        persist_state="session",
    )
    return Target(index, against), baseline


def _choose_other(choices: Choices, analysis: Analysis, index: int) -> int | None:
    names = choices.network.classes
    token = (choices.image.digest, choices.name)
    ranked = [rival for rival, _ in analysis.top(len(names)) if rival != index]
    rivals = keys.AGAINSTS.get()
    # The class may have been chosen on another page since.
    rival = keys.AGAINST.get() if keys.AGAINST_OF.get() == token else rivals.get(token)
    keys.AGAINST.set(rival if rival in ranked else None)
    keys.AGAINST_OF.set(token)
    note(keys.AGAINST.name, keys.AGAINST.get)
    rival = st.selectbox(
        "And not that class",
        ranked,
        index=None,
        placeholder="No other class",
        format_func=names.__getitem__,
        key=keys.AGAINST.name,
        help=None if ranked else "This network gives a single number: there is no other class.",
        disabled=not ranked,
        persist_state="session",
    )
    keys.AGAINSTS.set({**rivals, token: rival})
    return rival


def name_target(choices: Choices, target: Target) -> str:
    """Return the name of the class that is explained, and of the one that it is held against."""
    names = choices.network.classes
    return names[target.index] + (
        "" if target.against is None else f" and not {names[target.against]}"
    )
