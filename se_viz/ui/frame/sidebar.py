"""The sidebar's first half, which all pages share: the image."""

import sys

import streamlit as st
from streamlit.runtime.scriptrunner import RerunException

from se_viz.inputs import find_way
from se_viz.ui.frame.welcome import show_samples, show_upload
from se_viz.ui.session import (
    ChosenImage,
    Watch,
    choose_file,
    choose_linked_photo,
    chosen_image,
    image_problem,
    keys,
    note_photo,
    read_file,
)
from se_viz.ui.words import as_markdown, plain

_SOURCES = ("Upload", "Samples", "Camera")


def show_image_choice() -> None:
    """Let people choose the image, or a file that the network takes; read one that was chosen."""
    # On the page, where a phone shows it too, and before the uploader, which is another one after
    # each photo.
    choose_linked_photo()
    read_file(_read_other)
    note_photo()
    with st.sidebar:
        st.subheader("Input" if keys.WAY.get() else "Image")
        {"Upload": show_upload, "Samples": show_samples, "Camera": _camera}[_choose_source()]()
        _show_choice()


def show_problem() -> None:
    """Say above the page, where a phone shows it too, why the last file could not be used."""
    if problem := image_problem():
        st.error(as_markdown(problem))


def show_link_problems() -> None:
    """Say what of the link that opened the session could not be used, until the next click."""
    problems = [as_markdown(sentence) for sentence in keys.LINK_PROBLEMS.get()]
    if problems:
        words = problems[0] if len(problems) == 1 else "\n".join(f"- {words}" for words in problems)
        st.warning(words, icon=":material/link_off:")
    # A run that is about to start over has not been read.
    if not isinstance(sys.exception(), RerunException):
        keys.LINK_PROBLEMS.pop()


def _choose_source() -> str:
    # Neither samples nor cameras are anything else than photos.
    if not find_way(keys.WAY.get() or "rgb").photos:
        return "Upload"
    return st.segmented_control(
        "Source of the image",
        _SOURCES,
        default="Upload",
        required=True,
        label_visibility="collapsed",
        key=keys.SOURCE,
    )


def _read_other(image: ChosenImage, watch: Watch) -> None:
    # Here: it loads PyTorch, for which no photo should wait.
    from se_viz.ui.frame.choices import read_other_file

    read_other_file(image, watch)


def _camera() -> None:
    st.camera_input("Take a photo", key=keys.CAMERA, on_change=choose_file, args=("camera",))


def _show_choice() -> None:
    if image := chosen_image():
        # Plain text: a file name may hold Markdown.
        st.text(f"Shown: {image.name}")
        if image.credit:
            st.caption(plain(image.credit))
