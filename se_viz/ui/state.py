"""What one browser session has chosen; kept apart from widgets, so that it survives a change of page."""

import hashlib
from dataclasses import dataclass

import streamlit as st

from se_viz.errors import ImageError
from se_viz.images import Sample
from se_viz.networks import View
from se_viz.ui.cached import get_photo

_USUAL = View(192)


@dataclass(frozen=True, slots=True)
class ChosenImage:
    """The image a session looks at."""

    name: str
    """File name or title, as the user knows it."""
    content: bytes
    """The file itself."""
    digest: str
    """SHA-256 of the content; keys every cache."""
    credit: str = ""
    """Who made it, for samples."""


def chosen_image() -> ChosenImage | None:
    """Return the session's image, or None before the first choice."""
    return st.session_state.get("image")


def image_problem() -> str | None:
    """Return the sentence about the last file that could not be used, or None."""
    return st.session_state.get("image_problem")


def choose_sample(sample: Sample) -> None:
    """Look at a sample image from now on."""
    _choose(sample.title, sample.path.read_bytes(), credit=sample.credit)


def choose_file(widget: str) -> None:
    """Look at the file that the widget with this key holds; on a broken one keep the image and say why."""
    file = st.session_state.get(widget)
    if file is None:
        st.session_state.image_problem = None
        return
    content = file.getvalue()
    try:
        # Decodes for the page at once: a file that decodes here will be shown.
        get_photo(hashlib.sha256(content).hexdigest(), _USUAL, content)
    except ImageError as error:
        st.session_state.image_problem = str(error)
    else:
        _choose(file.name, content)


def use_network(name: str) -> None:
    """Look with another network from the next run on: its widget in the sidebar may stand already."""
    st.session_state.next_network = name


def open_block(chart: str) -> None:
    """Open the block that was clicked in the chart with this key; a click beside one changes nothing."""
    points = st.session_state[chart].selection.points
    if points:
        data = points[0]["customdata"]
        # A column of custom data arrives bare, in a list or as a mapping, by the kind of array it was.
        while not isinstance(data, str):
            data = data[next(iter(data))] if isinstance(data, dict) else data[0]
        st.session_state.block = data


def _choose(name: str, content: bytes, *, credit: str = "") -> None:
    digest = hashlib.sha256(content).hexdigest()
    st.session_state.image = ChosenImage(name, content, digest, credit)
    st.session_state.image_problem = None
