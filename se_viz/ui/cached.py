"""Everything slow that pages ask for, cached with a bound and keyed by hash of the image, network and settings."""

import streamlit as st
from PIL import Image

from se_viz.analysis import Analysis, analyse, turn
from se_viz.attribution.records import Attribution
from se_viz.images import centre_square, open_image
from se_viz.networks import Network, load_network
from se_viz.ui.memory import keep_memory_flat


@st.cache_resource(max_entries=4, show_spinner="Loading the network…")
def get_network(name: str, device: str) -> Network:
    """Load a network once for all sessions."""
    network = load_network(name, device)
    keep_memory_flat()
    return network


@st.cache_data(max_entries=128, show_spinner=False)
def get_photo(digest: str, size: int, _content: bytes) -> Image.Image:
    """Decode a file once, to the square that a network with this input size sees.

    Raises:
        ImageError: the file cannot be used; nothing is cached then.
    """
    return centre_square(open_image(_content), size)


@st.cache_data(max_entries=128, show_spinner="Looking at the image…")
def get_analysis(name: str, device: str, digest: str, _photo: Image.Image, block: str | None = None) -> Analysis:
    """Analyse a photo; with ``block``, keep that block's feature maps too."""
    network = get_network(name, device)
    with turn:
        _stop_if_overtaken()
        return analyse(network, _photo, keep_features=[block] if block else [])


@st.cache_data(max_entries=256, show_spinner="Computing the attribution…", show_time=True)
def get_attribution(
    name: str, device: str, digest: str, _photo: Image.Image, target: int, method: str, stage: int | None
) -> Attribution:
    """Attribute a class of a photo to its pixels."""
    # Here, so that the first page does not wait for Captum.
    from se_viz.attribution.run import attribute

    network = get_network(name, device)
    with turn:
        _stop_if_overtaken()
        return attribute(network, network.preprocess(_photo), target, method, stage=stage)


def _stop_if_overtaken() -> None:
    # Reading the state is where Streamlit ends a run that a newer click has replaced: nobody waits for it.
    st.session_state.get("image")
