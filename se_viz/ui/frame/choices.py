"""The choices a page starts from, or one sentence and a stop where one is missing."""

import streamlit as st

from se_viz.errors import SeVizError
from se_viz.ui.asking import Choices, get_view
from se_viz.ui.frame.linked import use_linked
from se_viz.ui.frame.welcome import show_welcome
from se_viz.ui.session import chosen_image, get_photo, keys
from se_viz.ui.words import as_markdown


def require_network() -> tuple[str, str]:
    """Return the names of network and device; without them, say so and end the page here."""
    name = keys.NETWORK.get()
    device = keys.DEVICE.get()
    if not name or not device:
        st.info("No network is chosen yet. Choose one in the sidebar.")
        st.stop()
    return name, device


def require_choices() -> Choices:
    """Return what the session has chosen; without it, say what to choose and end the page here."""
    name, device = require_network()
    image = chosen_image()
    if image is None:
        show_welcome()
        st.stop()
    try:
        network = get_view(name, device)
        photo = get_photo(image.digest, network.card.view, image.content)
        choices = Choices(image, network, name, device, photo)
        use_linked(choices)
        return choices
    except SeVizError as error:
        st.error(as_markdown(error))
        st.stop()
