"""The sidebar that all pages share: image, network, device."""

import streamlit as st

from se_viz.errors import SeVizError
from se_viz.images import EXTENSIONS, MAX_BYTES, list_samples
from se_viz.networks import list_networks
from se_viz.runtime import available_devices, choose_device
from se_viz.ui.state import choose_file, choose_sample, chosen_image, image_problem

_SOURCES = ("Upload", "Samples", "Camera")


def show_sidebar() -> None:
    """Let people choose image, network and device; the choices are in the session's state afterwards."""
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
        {"Upload": _upload, "Samples": show_samples, "Camera": _camera}[source]()
        _show_choice()
        st.subheader("Network")
        _network()


def show_samples(columns: int = 3, *, area: str = "sidebar") -> None:
    """Show the sample images, each with its credit and a button that chooses it."""
    for sample, column in zip(list_samples(), st.columns(columns, wrap=False) * columns, strict=False):
        with column:
            st.image(str(sample.path), alt=sample.title)
            st.button(
                sample.title,
                key=f"{area}-{sample.name}",
                help=sample.credit,
                on_click=choose_sample,
                args=(sample,),
                width="stretch",
            )


def _upload() -> None:
    st.file_uploader(
        f"A photo: {', '.join(sorted({ending.upper() for ending in EXTENSIONS}))}, up to {MAX_BYTES // 2**20} MB",
        type=list(EXTENSIONS),
        key="upload",
        on_change=choose_file,
        args=("upload",),
    )


def _camera() -> None:
    st.camera_input("Take a photo", key="camera", on_change=choose_file, args=("camera",))


def _show_choice() -> None:
    if problem := image_problem():
        st.error(problem)
    if image := chosen_image():
        # Plain text: a file name may hold Markdown.
        st.text(f"Shown: {image.name}")
        if image.credit:
            st.caption(image.credit)


def _network() -> None:
    try:
        cards = {card.name: card for card in list_networks()}
    except SeVizError as error:
        st.error(str(error))
        cards = {}
    if not cards:
        st.error("There is no network in `checkpoints/`. Restore the folder, or train one: `python -m se_viz train`.")
        return
    name = st.selectbox("Network", list(cards), format_func=lambda key: cards[key].title, key="network")
    card = cards[name]
    st.caption(f"{card.parameters / 1e6:.1f} M parameters, top-1 {card.top1:.1%} on {card.data}.")
    device = st.selectbox("Device", available_devices(), key="device")
    st.caption(choose_device(device).reason)
