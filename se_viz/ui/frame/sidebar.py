"""The sidebar's first half, which all pages share: the image."""

import streamlit as st

from se_viz.ui.frame.welcome import show_samples, show_upload
from se_viz.ui.session import choose_file, chosen_image, image_problem, keys, read_file
from se_viz.ui.words import as_markdown, plain

_SOURCES = ("Upload", "Samples", "Camera")


def show_image_choice() -> None:
    """Let people choose the image; read a file that was chosen."""
    # On the page, where a phone shows it too, and before the uploader, which is another one after
    # each photo.
    read_file()
    with st.sidebar:
        st.subheader("Image")
        source = st.segmented_control(
            "Source of the image",
            _SOURCES,
            default="Upload",
            required=True,
            label_visibility="collapsed",
            key=keys.SOURCE,
        )
        {"Upload": show_upload, "Samples": show_samples, "Camera": _camera}[source]()
        _show_choice()


def show_problem() -> None:
    """Say above the page, where a phone shows it too, why the last file could not be used."""
    if problem := image_problem():
        st.error(as_markdown(problem))


def _camera() -> None:
    st.camera_input("Take a photo", key=keys.CAMERA, on_change=choose_file, args=("camera",))


def _show_choice() -> None:
    if image := chosen_image():
        # Plain text: a file name may hold Markdown.
        st.text(f"Shown: {image.name}")
        if image.credit:
            st.caption(plain(image.credit))
