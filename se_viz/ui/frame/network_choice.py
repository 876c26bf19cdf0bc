"""The sidebar's second half, which all pages share: network and device. It loads PyTorch."""

from collections.abc import Mapping
from contextlib import suppress

import streamlit as st

from se_viz.devices import available_devices, choose_device
from se_viz.errors import SeVizError
from se_viz.networks import NetworkCard
from se_viz.networks.sources import GIVEN
from se_viz.networks.zoo import OWN, damaged_networks, list_on_disk
from se_viz.ui.asking import get_view
from se_viz.ui.frame.brought import is_shown
from se_viz.ui.frame.choices import take_files_of
from se_viz.ui.navigation import link_page
from se_viz.ui.session import keys, note, refuse, take
from se_viz.ui.words import as_markdown, code, plain


def show_network_choice(*, loads: bool) -> None:
    """Let people choose network and device; the choices are in the session's state afterwards.

    Offered are those that can be used at once; a link leads to the page that lists all. Which
    files the network takes is known once it is loaded; a page that does not (``loads``) asks for
    those of its card.
    """
    with st.sidebar:
        st.subheader("Network")
        card = _choose()
        link_page("networks", "More networks …")
    if card and not loads:
        take_files_of(card)


def load_ahead() -> None:
    """Load the chosen network while people look for a photo.

    What goes wrong is said once there is one.
    """
    name = keys.NETWORK.get()
    device = keys.DEVICE.get()
    if name and device:
        with suppress(SeVizError):
            take_files_of(get_view(name, device).card)


def _choose() -> NetworkCard | None:
    try:
        cards = {card.name: card for card in list_on_disk() if is_shown(card)}
    except SeVizError as error:
        st.error(as_markdown(error))
        return None
    if not cards:
        _say_why_there_is_none()
        return None
    note(keys.NETWORK.name, keys.NETWORK.get)
    _use_linked(cards)
    if next_name := keys.NEXT_NETWORK.pop():
        keys.NETWORK.set(next_name)
    if keys.NETWORK.get() not in cards:
        # Emptied from the cache, or removed, since it was chosen.
        keys.NETWORK.pop()
    name = st.selectbox(
        "Network", list(cards), format_func=lambda key: cards[key].title, key=keys.NETWORK.name
    )
    st.caption(describe_card(cards[name]))
    device = st.selectbox("Device", available_devices(), key=keys.DEVICE.name)
    st.caption(choose_device(device).reason)
    return cards[name]


def describe_card(card: NetworkCard) -> str:
    """Say how large a network is and where it comes from, as Markdown."""
    data = plain(card.data.rstrip("."))
    if card.library == GIVEN:
        return f"{code(card.architecture)}, from {data}."
    top1 = "" if card.top1 is None else f", top-1 {card.top1:.1%}"
    origin = f", {data}" if card.name.startswith(OWN) else f"{top1} on {data}"
    return f"{card.parameters / 1e6:.1f} M parameters{origin}."


def _use_linked(cards: Mapping[str, NetworkCard]) -> None:
    """Choose the network that the link names, which opened the session."""
    name = take(keys.NETWORK.name)
    if name in cards:
        keys.NETWORK.set(name)
    elif name is not None:
        first = next(iter(cards.values()))
        refuse(
            keys.NETWORK.name,
            name,
            f"{first.title} is shown: the page Networks fetches others, and takes own weights.",
        )


def _say_why_there_is_none() -> None:
    problems = damaged_networks()
    for problem in problems.values():
        st.error(as_markdown(problem))
    if not problems:
        st.error(
            "There is no network in `checkpoints/`. Restore the folder, or train one: `python -m "
            "se_viz train`."
        )
