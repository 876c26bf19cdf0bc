"""The second network: one of those on this machine that take what is chosen, twins first."""

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from se_viz.errors import OvertakenError, SeVizError
from se_viz.networks import NetworkCard
from se_viz.networks.twins import are_twins, see_alike
from se_viz.networks.zoo import list_on_disk
from se_viz.ui.asking import Choices, choose, get_view, replace_image
from se_viz.ui.frame import describe_card, is_shown
from se_viz.ui.navigation import link_page
from se_viz.ui.session import fits, keys, list_gallery, note, refuse, take
from se_viz.ui.words import as_markdown, plain

_TWIN = "It differs from {} by its SE blocks alone."


def choose_second(first: Choices) -> Choices:
    """Let people choose the second network, and return it before the same image.

    Where there is none, or it cannot be shown, say so and end the page here.
    """
    try:
        cards = _list_cards(first)
        if not cards:
            st.info(
                f"No second network on this machine takes {first.article}. Fetch one on the page "
                "Networks, or bring your own there."
            )
            link_page("networks", "More networks …")
            st.stop()
        name = _pick(cards, first)
        return _look_with(name, first)
    except SeVizError as error:
        st.error(as_markdown(error))
        st.stop()


def _list_cards(first: Choices) -> dict[str, NetworkCard]:
    """Return the cards of all that may stand second, by name: twins first, then those that see the
    image as the first one does.
    """
    card = first.network.card
    others = [
        other
        for other in list_on_disk()
        if other.name != first.name and is_shown(other) and fits(first.image, other)
    ]
    ordered = sorted(
        others, key=lambda other: (not are_twins(card, other), not see_alike(card, other))
    )
    return {other.name: other for other in ordered}


def _pick(cards: Mapping[str, NetworkCard], first: Choices) -> str:
    _use_linked(cards)
    usual = next(iter(cards))
    name = keys.SECOND.get()
    # Set also where it is the same: the picker is gone while another page is open.
    keys.SECOND.set(name if name in cards else usual)
    note(keys.SECOND.name, keys.SECOND.get, usual)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        name = st.selectbox(
            "Second network",
            list(cards),
            format_func=lambda key: cards[key].title,
            key=keys.SECOND.name,
            persist_state="session",
            width=420,
        )
        with st.container(width="content"):
            link_page("networks", "More networks …")
    twin = are_twins(first.network.card, cards[name])
    words = _TWIN.format(plain(first.network.card.title)) if twin else ""
    st.caption(f"{describe_card(cards[name])} {words}".strip())
    return name


def _use_linked(cards: Mapping[str, NetworkCard]) -> None:
    name = take(keys.SECOND.name)
    if name in cards:
        keys.SECOND.set(name)
    elif name is not None:
        title = next(iter(cards.values())).title
        refuse(
            keys.SECOND.name,
            name,
            f"{title} stands second: choose another below, or fetch one on the page Networks.",
        )


def _look_with(name: str, first: Choices) -> Choices:
    network = get_view(name, first.device)
    # Of code of one's own it is known only now.
    if not fits(first.image, network.card):
        st.info(
            f"{plain(network.card.title)} takes other inputs than {plain(first.image.name)}. "
            "Choose another second network."
        )
        st.stop()
    try:
        second = choose(first.image, network, first.device)
    except OvertakenError:
        raise
    except SeVizError as problem:
        # The first network takes the file: what is wrong is the choice of the second.
        st.info(as_markdown(problem))
        st.stop()
    if network.card.answer != first.network.card.answer:
        return second
    return _read_alike(first, second)


def _read_alike(first: Choices, second: Choices) -> Choices:
    """Return the second network with its answer read where the first one's is."""
    if first.beside is None:
        return replace(second, at=first.at)
    images = {image.digest: image for image in (first.image, *list_gallery())}
    beside = replace_image(second, images[first.at.beside]).seen
    return replace(second, at=first.at, beside=beside)
