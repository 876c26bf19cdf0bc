"""The choices a page starts from, or one sentence and a stop where one is missing."""

import streamlit as st

from se_viz.errors import NoSEBlocksError, SeVizError
from se_viz.networks import NetworkCard
from se_viz.ui.asking import Choices, choose, get_view
from se_viz.ui.frame.linked import use_linked
from se_viz.ui.frame.place_choice import choose_place
from se_viz.ui.frame.welcome import show_welcome
from se_viz.ui.session import ChosenImage, Watch, chosen_image, fits, keys
from se_viz.ui.words import as_markdown


def require_network() -> tuple[str, str]:
    """Return the names of network and device; without them, say so and end the page here."""
    name = keys.NETWORK.get()
    device = keys.DEVICE.get()
    if not name or not device:
        st.info("No network is chosen yet. Choose one in the sidebar.")
        st.stop()
    return name, device


def require_choices(*, gates: bool = True) -> Choices:
    """Return what the session has chosen; without it, say what to choose and end the page here.

    So does a network without SE blocks, unless the page can do without ``gates``.
    """
    name, device = require_network()
    image = chosen_image()
    try:
        network = get_view(name, device)
        if gates and network.lack:
            raise NoSEBlocksError(network.lack)
        take_files_of(network.card)
        if image is None or not fits(image, network.card):
            show_welcome(network.card if image else None)
            st.stop()
        choices = choose_place(choose(image, network, device))
        use_linked(choices)
        return choices
    except SeVizError as error:
        st.error(as_markdown(error))
        st.stop()


def take_files_of(card: NetworkCard) -> None:
    """Ask for files that a network takes from now on; the sidebar, which stands already, is drawn
    anew where these are others.
    """
    if keys.WAY.get() != card.preprocess:
        keys.WAY.set(card.preprocess)
        st.rerun()


def read_other_file(image: ChosenImage, watch: Watch) -> None:
    """Read a file that is no photo as an input of the chosen network.

    Raises:
        SeVizError: it is none; the text says what to do.
    """
    name, device = require_network()
    choose(image, get_view(name, device), device, watch)
