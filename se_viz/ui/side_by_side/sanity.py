"""The sanity check of one map: the network is randomised part by part under it, and what becomes
of map and gates.
"""

from collections.abc import Sequence

import streamlit as st

from se_viz.attribution.scores import (
    NETWORKS,
    Peers,
    SanityStep,
    describe_steps,
    name_part,
    tabulate_steps,
)
from se_viz.charts import Map, draw_steps, fit_reach, paint_map, to_uri
from se_viz.engine.questions import CheckSanity
from se_viz.ui.asking import Choices, ask_with_bar, case_of, describe_load, get_engine
from se_viz.ui.session import keys
from se_viz.ui.side_by_side.scoring import Subject
from se_viz.ui.widgets import current_palette, say_about, show_figure

_SIDE = 148
_OPACITY = 0.8
_FIRST_STEP = "At *nothing*, an untouched copy, all values are 1. Points are one draw each."


def show_sanity(choices: Choices, subjects: Sequence[Subject]) -> None:
    """Offer to randomise the network under one of the maps; show its maps and how alike they stay.

    Raises:
        SeVizError: the method cannot run, or too many wait; the text says what to do.
    """
    titles = {subject.title: subject for subject in subjects}
    if keys.SANITY_MAP.get() not in titles:
        keys.SANITY_MAP.set(next(iter(titles)))
    title = st.selectbox(
        "Map", list(titles), key=keys.SANITY_MAP.name, persist_state="session", width=320
    )
    subject = titles[title]
    token = (case_of(choices), subject.question)
    if keys.RANDOMISED.get() != token:
        _offer(choices, subject, token)
        return
    question = CheckSanity(subject.question)
    steps = ask_with_bar(choices, question, "Randomising a copy…", key=keys.SANITY)
    st.markdown("\n".join(f"- {line}" for line in describe_steps(subject.title, steps)))
    if len(steps) < 2:
        return
    _show_maps(choices, subject, steps)
    figure = draw_steps(tabulate_steps(steps), current_palette())
    show_figure(
        figure, keys.SANITY_STEPS, alt="Likeness of map and gates to the first ones, part by part"
    )
    words = "A curve that stays high means the map does not depend on the weights."
    peers = steps[-1].peers
    if peers is None or not peers.pairs:
        st.caption(words, help=_FIRST_STEP)
    else:
        st.caption(
            f"{words} Look for a bar at the end that lies **below the band**.",
            help=_explain_band(peers),
        )


def _explain_band(peers: Peers) -> str:
    return (
        f"{_FIRST_STEP} The bar is the range over {len(peers.own)} networks whose weights are all "
        "shuffled. Below the band, the map is less like their maps than their maps are like each "
        "other; in the band, a network that has learned nothing gives the same."
    )


def _offer(choices: Choices, subject: Subject, token: tuple) -> None:
    runs = len({site.stage for site in choices.network.inspection.sites}) + 1 + NETWORKS
    st.markdown(
        "Shuffle the weights of a copy of the network, from the classifier back to the image, and "
        "draw the map again. A map that barely changes reflects the image, not the learned "
        "weights; networks whose weights are all shuffled show how much change is chance."
    )
    st.button("Randomise a copy", on_click=_want, args=(token,), icon=":material/casino:")
    time = say_about(runs * subject.attribution.seconds)
    load = describe_load(get_engine().load(choices.device))
    st.caption(f"This takes {time}: the method runs {runs} times on a copy of the network.{load}")


def _want(token: tuple) -> None:
    keys.RANDOMISED.set(token)


def _show_maps(choices: Choices, subject: Subject, steps: Sequence[SanityStep]) -> None:
    palette = current_palette()
    with st.container(horizontal=True, gap="small"):
        for step in steps:
            values = Map(step.map.numpy(), subject.attribution.signed)
            picture = paint_map(
                choices.photo, values, palette, reach=fit_reach([values]), opacity=_OPACITY
            )
            with st.container(width=_SIDE, gap=None):
                st.image(
                    to_uri(picture),
                    width=_SIDE,
                    alt=f"The map with {name_part(step.part)} randomised last",
                )
                st.caption(f"… {name_part(step.part)}")
    st.caption(
        "Randomised up to and including the layer named, in one draw. Each map has its own scale: "
        "compare where, not how much."
    )
