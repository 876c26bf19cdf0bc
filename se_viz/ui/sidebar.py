"""The sidebar that all pages share: image, network, device."""

import streamlit as st
from PIL import Image
from streamlit.navigation.page import StreamlitPage

from se_viz.errors import SeVizError
from se_viz.images import EXTENSIONS, MAX_BYTES, Sample, centre_square, list_samples, open_image
from se_viz.networks.zoo import list_on_disk
from se_viz.runtime import available_devices, choose_device
from se_viz.ui.state import choose_file, choose_sample, chosen_image, image_problem

_SOURCES = ("Upload", "Samples", "Camera")


def show_sidebar(more: StreamlitPage | None = None) -> None:
    """Let people choose image, network and device; the choices are in the session's state afterwards.

    ``more`` is the page that lists all networks: the sidebar offers those that can be used at once.
    """
    with st.sidebar:
        st.subheader("Image")
        source = st.segmented_control(
            "Where the image comes from",
            _SOURCES,
            default="Upload",
            required=True,
            label_visibility="collapsed",
            key="source",
        )
        {"Upload": show_upload, "Samples": show_samples, "Camera": _camera}[source]()
        _show_choice()
        st.subheader("Network")
        _network()
        if more:
            st.page_link(more, label="More networks …")


def show_problem() -> None:
    """Say above the page, where a phone shows it too, why the last file could not be used."""
    if problem := image_problem():
        st.error(problem)


def show_samples(*, area: str = "sidebar") -> None:
    """Show the sample images, each with a button that chooses it and its credit (on the page: in full)."""
    width = 148 if area == "page" else 112
    with st.container(horizontal=True, gap="small"):
        for sample in list_samples():
            with st.container(width=width, gap="xsmall"):
                st.image(_thumbnail(sample), alt=f"Sample: {sample.title}", width="stretch")
                st.button(
                    sample.title,
                    key=f"{area}-{sample.name}",
                    help=None if area == "page" else sample.credit,
                    on_click=choose_sample,
                    args=(sample,),
                    width="stretch",
                )
                if area == "page":
                    st.caption(sample.credit)


def show_upload(*, area: str = "sidebar") -> None:
    """Let people drop a photo; a broken one is named and changes nothing."""
    key = f"{area}-upload"
    st.file_uploader(
        f"Drop a photo here (up to {MAX_BYTES // 2**20} MB)",
        type=list(EXTENSIONS),
        # The server's own bound is that of weights, which are larger.
        max_upload_size=MAX_BYTES // 2**20,
        key=key,
        on_change=choose_file,
        args=(key,),
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _thumbnail(sample: Sample) -> Image.Image:
    # One shape for all: the buttons below stand in line.
    return centre_square(open_image(sample.path), 240)


def _camera() -> None:
    st.camera_input("Take a photo", key="camera", on_change=choose_file, args=("camera",))


def _show_choice() -> None:
    if image := chosen_image():
        # Plain text: a file name may hold Markdown.
        st.text(f"Shown: {image.name}")
        if image.credit:
            st.caption(image.credit)


def _network() -> None:
    try:
        cards = {card.name: card for card in list_on_disk()}
    except SeVizError as error:
        st.error(str(error))
        return
    if not cards:
        st.error("There is no network in `checkpoints/`. Restore the folder, or train one: `python -m se_viz train`.")
        return
    if wanted := st.session_state.pop("next_network", None):
        st.session_state.network = wanted
    if st.session_state.get("network") not in cards:
        # Emptied from the cache, or removed, since it was chosen.
        st.session_state.pop("network", None)
    name = st.selectbox("Network", list(cards), format_func=lambda key: cards[key].title, key="network")
    card = cards[name]
    top1 = "" if card.top1 is None else f", top-1 {card.top1:.1%}"
    st.caption(f"{card.parameters / 1e6:.1f} M parameters{top1} on {card.data}.")
    device = st.selectbox("Device", available_devices(), key="device")
    st.caption(choose_device(device).reason)
