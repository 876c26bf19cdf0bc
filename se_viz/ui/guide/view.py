"""The page *How to read it*, drawn: passages with their pictures, and the way to one of them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import streamlit as st
from streamlit.components.v2 import component
from streamlit.delta_generator import DeltaGenerator

from se_viz.errors import SeVizError
from se_viz.gates.records import GateSite
from se_viz.ui.asking import get_view
from se_viz.ui.guide.words import EXCITATION, PASSAGES, STEPS, Passage
from se_viz.ui.session import keys, note, refuse, take
from se_viz.ui.widgets import current_palette
from se_viz.ui.words import plain

_HERE = Path(__file__).parent
_picture = component(
    "se_viz_guide_picture",
    html='<figure class="guide-picture"></figure>',
    css=(_HERE / "picture.css").read_text(encoding="utf-8"),
    js='export default ({ data, parentElement }) => { parentElement.querySelector("figure")'
    ".innerHTML = data.svg; }",
)
_scroll = component(
    "se_viz_guide_scroll",
    html="<div></div>",
    js=(_HERE / "scroll.js").read_text(encoding="utf-8"),
)


def show_words(passage: Passage) -> DeltaGenerator:
    """Show a passage without its picture; return the place of its words."""
    st.subheader(passage.heading, anchor=passage.anchor)
    if passage.equation:
        st.latex(passage.equation)
    place = st.empty()
    place.markdown(_fill(passage))
    return place


def show_pictured(passage: Passage) -> None:
    """Show a passage with its picture beside the words, on a phone above them."""
    assert passage.picture is not None
    st.subheader(passage.heading, anchor=passage.anchor)
    picture, words = st.columns(2, gap="medium", vertical_alignment="center")
    with picture:
        _picture(
            key=f"{keys.GUIDE_PICTURE}-{passage.anchor}",
            data={"svg": passage.picture(current_palette())},
        )
    words.markdown(_fill(passage))


def show_steps() -> DeltaGenerator:
    """Show the three steps of a block beside each other; return the place of the second one's
    words, for `name_ratio`.
    """
    places: list[DeltaGenerator] = []
    for column, step in zip(st.columns(3, border=True), STEPS, strict=True):
        with column:
            places.append(show_words(step))
    return places[STEPS.index(EXCITATION)]


def name_ratio(place: DeltaGenerator) -> None:
    """Say which reduction ratio the chosen network has; it is loaded where it is not.

    What goes wrong is said on the pages that need it.
    """
    name = keys.NETWORK.get()
    device = keys.DEVICE.get()
    if not name or not device:
        return
    with suppress(SeVizError):
        network = get_view(name, device)
        if network.lack:
            return
        ratio = describe_ratio(network.inspection.sites, plain(network.card.title))
        place.markdown(_fill(EXCITATION, ratio))


def describe_ratio(sites: Sequence[GateSite], title: str) -> str:
    """Say which reduction ratios the blocks of a network have, to go on after the paper's."""
    ratios = {site.ratio for site in sites if site.ratio is not None}
    if not ratios:
        return f"; the blocks of {title} have no such layers"
    low, high = (f"{ratio:.3g}" for ratio in (min(ratios), max(ratios)))
    # Blocks round their hidden units: 3.998 and 4 are one ratio.
    words = f"$r = {low}$" if low == high else f"$r$ goes from ${low}$ to ${high}$"
    return f"; in {title}, {words}"


def scroll_to_passage() -> None:
    """Lead to the passage that the page's address names; to be called last."""
    take(keys.READ)
    passage = st.query_params.get(keys.READ)
    if passage is not None and passage not in {row.anchor for row in PASSAGES}:
        refuse(keys.READ, passage, "All passages stand below.")
        passage = None
    note(keys.READ, lambda: passage)
    _scroll(key=keys.READ, data={"passage": passage})


def _fill(passage: Passage, ratio: str = "") -> str:
    palette = current_palette()
    words = passage.words.replace("{ratio}", ratio)
    return words.replace("{low}", palette.low_name).replace("{high}", palette.high_name)
