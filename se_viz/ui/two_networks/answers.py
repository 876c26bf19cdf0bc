"""Both answers: of classes that both networks know in one picture, of others side by side."""

import streamlit as st

from se_viz.charts import draw_pair, to_uri
from se_viz.experiments import pair_answers
from se_viz.networks.twins import see_alike
from se_viz.readings import KINDS
from se_viz.ui.session import keys
from se_viz.ui.two_networks.members import Member, match_members
from se_viz.ui.widgets import current_palette, show_figure
from se_viz.ui.words import plain

_LISTED = 5
_SHARED = 3
"""Classes of either network in the picture, where the lists above hold the others."""
_SIDE = 132


def show_answers(first: Member, second: Member) -> None:
    """Show what each network sees, and both answers."""
    photo, answers = st.columns([2, 5], gap="medium")
    with photo:
        _show_photos(first, second)
    with answers:
        _show_numbers(first, second)


def _show_photos(first: Member, second: Member) -> None:
    members = (first, second)
    if see_alike(first.choices.network.card, second.choices.network.card):
        members = (first,)
    with st.container(horizontal=True, gap="small"):
        for member in members:
            choices = member.choices
            alone = len(members) == 1
            with st.container(width="stretch" if alone else _SIDE, gap="small"):
                alt = f"The {choices.noun} as {member.name} sees it"
                st.image(to_uri(choices.photo), alt=alt, width="stretch" if alone else _SIDE)
                if not alone:
                    st.caption(f"As {member.title} sees it")


def _show_numbers(first: Member, second: Member) -> None:
    cards = first.choices.network.card, second.choices.network.card
    matches = match_members(first, second)
    equal = first.choices.network.classes == second.choices.network.classes
    if not (matches and equal and cards[0].shares):
        for column, member in zip(st.columns(2, gap="medium"), (first, second), strict=True):
            with column:
                _show_answer(member)
    if cards[0].answer != cards[1].answer:
        kinds = " and ".join(KINDS[card.answer].number for card in cards)
        st.info(
            f"The answers are of different kinds ({kinds}), so that only gates and maps are "
            "compared. Choose another second network to compare answers."
        )
    elif not equal:
        _say_what_is_shared(first, second, len(matches))
    if matches and cards[0].shares:
        _draw(first, second, matches, equal=equal)


def _draw(first: Member, second: Member, matches: dict[int, int], *, equal: bool) -> None:
    classes = first.choices.network.classes
    count = _LISTED if equal else _SHARED
    table = pair_answers(first.analysis, second.analysis, classes, matches, count=count)
    figure = draw_pair(table, current_palette(), names=(first.name, second.name))
    alt = f"Probabilities of {len(table)} classes by both networks"
    show_figure(figure, keys.PAIR_ANSWERS, alt=alt)
    words = "Each row is a class. Look for long lines: there the networks disagree."
    more = f"The {count} most probable classes of either network, the first network's first."
    if not equal:
        words = (
            "Each row is a class that both know. Look for long lines, and keep in mind that each "
            "network shares 100 % among its own classes."
        )
    st.caption(words, help=more)


def _show_answer(member: Member) -> None:
    network = member.choices.network
    st.markdown(f"**{member.title}**")
    with st.container(gap=None):
        for index, share in member.analysis.top(_LISTED):
            name = plain(network.classes[index])
            if network.card.shares:
                st.progress(min(share, 1.0), text=f"{name} · {share:.1%}")
            else:
                st.markdown(f"{name}: **{share:.4g}**")


def _say_what_is_shared(first: Member, second: Member, count: int) -> None:
    lists = " and ".join(
        f"{len(member.choices.network.classes):,} ({member.title})" for member in (first, second)
    )
    known = f"{count:,} of them stand in both" if count else "none of them stands in both"
    end = "only these are compared." if count else "their answers are not compared."
    st.markdown(f"The networks know different classes: {lists}; {known}, and {end}")
