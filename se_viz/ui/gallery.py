"""The gallery that one image is compared with: samples and the session's own photos, and gates that come along."""

from dataclasses import replace

import streamlit as st

from se_viz.analysis import Analysis
from se_viz.networks.lenders import Lender, read_lenders
from se_viz.ui.cached import get_analysis
from se_viz.ui.choices import Choices
from se_viz.ui.loaded import borrow_network
from se_viz.ui.photos import get_photo
from se_viz.ui.state import list_gallery


def get_gallery(choices: Choices) -> list[tuple[Choices, Analysis]]:
    """Choose and analyse every image of the gallery in turn; samples first, then photos, oldest first."""
    view = choices.network.card.view
    gallery = [
        replace(choices, image=image, photo=get_photo(image.digest, view, image.content)) for image in list_gallery()
    ]
    return [(one, get_analysis(one)) for one in gallery]


def get_lenders(choices: Choices) -> tuple[Lender, ...]:
    """Return the images whose gates come with the network; none for most networks.

    Raises:
        CheckpointError: their file is missing, damaged, or of another network.
    """
    return _read_lenders(choices.name, choices.device)


# Not copied for everyone who asks: nobody writes into it.
@st.cache_resource(max_entries=4, show_spinner=False)
def _read_lenders(name: str, device: str) -> tuple[Lender, ...]:
    with borrow_network(name, device) as network:
        return read_lenders(network.card, network.inspection.sites)
