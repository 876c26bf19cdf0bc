"""What happens to a network that a user brought, whatever file it came in."""

import streamlit as st

from se_viz.networks.network import Network
from se_viz.networks.own import keep
from se_viz.networks.zoo import find_card
from se_viz.ui.frame import bring, is_private
from se_viz.ui.navigation import link_page
from se_viz.ui.session import keys, use_network
from se_viz.ui.words import as_markdown, plain


def new_key(key: str) -> str:
    """Return the key of an uploader: another one after each network, so that the server lets go of
    the file.
    """
    count = keys.OWN_COUNT.get()
    return f"{key}-{count}" if count else key


def ask_for_all(key: str = "") -> bool:
    """Ask whoever runs the app whether a network is for everybody."""
    name = f"{keys.OWN_FOR_ALL}-{key}" if key else keys.OWN_FOR_ALL
    return is_private() and st.checkbox(
        "Keep the network, for everybody who uses this app", key=name
    )


def take(network: Network, *, for_all: bool) -> None:
    """Hold a network, and use it on all pages.

    Raises:
        SeVizError: it cannot be kept.
    """
    card = keep(network) if for_all else bring(network)
    keys.OWN_COUNT.set(keys.OWN_COUNT.get() + 1)
    keys.OWN_NOTE.set(network.card.notes)
    keys.OWN_ADDED.set(card.name)
    use_network(card.name)


def show_success() -> None:
    """Say what came of it, as long as that network is in use, and lead on."""
    name = keys.OWN_ADDED.get()
    if name and name == keys.NETWORK.get():
        card = find_card(name)
        count = len(card.classes)
        st.success(
            f"**{plain(card.title)}** fits, with {count} class{'es' * (count != 1)}: it is in use "
            "on all pages."
        )
        link_page("explore", "See its gates on Explore")
    if note := keys.OWN_NOTE.pop():
        st.info(as_markdown(note))
