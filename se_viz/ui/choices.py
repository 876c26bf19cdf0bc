"""The choices a page starts from, or one sentence and a stop where one is missing."""

from dataclasses import dataclass

import streamlit as st
from PIL import Image

from se_viz.charts.palettes import DARK, LIGHT, Palette
from se_viz.engine import NetworkView
from se_viz.errors import SeVizError
from se_viz.ui.asking.engine import get_view
from se_viz.ui.photos import get_photo
from se_viz.ui.state import ChosenImage, chosen_image
from se_viz.ui.welcome import show_welcome
from se_viz.ui.words import as_markdown


@dataclass(frozen=True, slots=True)
class Choices:
    """One image, one network, one device."""

    image: ChosenImage
    """The image."""
    network: NetworkView
    """The network, as pages see it."""
    name: str
    """Its name."""
    device: str
    """Name of the device it runs on."""
    photo: Image.Image
    """The square that the network sees."""


def require_choices() -> Choices:
    """Return what the session has chosen; without it, say what to choose and end the page here."""
    name, device = st.session_state.get("network"), st.session_state.get("device")
    if not name or not device:
        st.info("No network is chosen yet. Choose one in the sidebar.")
        st.stop()
    image = chosen_image()
    if image is None:
        show_welcome()
        st.stop()
    try:
        network = get_view(name, device)
        photo = get_photo(image.digest, network.card.view, image.content)
        return Choices(image, network, name, device, photo)
    except SeVizError as error:
        st.error(as_markdown(error))
        st.stop()


def current_palette() -> Palette:
    """Return the colours for the page's theme, light until the browser has told."""
    return DARK if st.context.theme.type == "dark" else LIGHT
