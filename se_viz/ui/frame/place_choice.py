"""Below the heading, for networks whose answer is no list of classes: where it is read.

Why: docs/decisions/048-an-answer-is-read.md
"""

from contextlib import suppress
from dataclasses import replace

import streamlit as st

from se_viz.engine.questions import FindPlaces
from se_viz.errors import NetworkError
from se_viz.readings import KINDS, Place, Reading, Region, read_region
from se_viz.ui.asking import Choices, ask, replace_image
from se_viz.ui.session import OWN_PHOTO, fits, keys, list_gallery, note, refuse, take

_BY_HAND = "by hand"
_WHOLE = ""
_LISTED = 12
"""Places that are offered: more are a list to scroll."""
_HELP = {
    "segments": "The mean logit of each class over this part of the mask. Areas are those where a "
    "class is the most probable one; the rectangle around it is meant.",
    "boxes": "The score of each class's strongest box among those that overlap this region by half "
    "(intersection over union). Listed are the boxes that the network finds.",
}


def choose_place(choices: Choices) -> Choices:
    """Let people choose where the answer is read, and return it with the other choices.

    Raises:
        SeVizError: what the network finds in the photo cannot be computed.
    """
    kind = choices.network.card.answer
    if kind == "embedding":
        return _choose_beside(choices)
    if KINDS[kind].located:
        return _choose_region(choices)
    return choices


def _choose_region(choices: Choices) -> Choices:
    found: tuple[Place, ...] = ask(choices, FindPlaces(), "Looking for places in the photo…")
    options = {_WHOLE: f"Whole {choices.noun}"}
    for row in found[:_LISTED]:
        # Of two with one rectangle, the stronger one stays.
        options.setdefault(write_region(row.region), _describe(choices, row))
    options[_BY_HAND] = "A rectangle …"
    _use_linked(options)
    if keys.PLACE.get() not in options:
        # Another photo has other places; a rectangle stays where it was.
        keys.PLACE.set(_WHOLE)
    # On the page, where a phone shows it too: it says what every number below is about.
    with st.container(horizontal=True, vertical_alignment="bottom"):
        place = st.selectbox(
            "Where the answer is read",
            list(options),
            format_func=options.__getitem__,
            key=keys.PLACE.name,
            help=_HELP[choices.network.card.answer],
            persist_state="session",
            width=320,
        )
        text = _draw_by_hand() if place == _BY_HAND else place
    note(keys.REGION, lambda: text, _WHOLE)
    return replace(choices, at=Reading(read_region(text)) if text else Reading())


def _use_linked(options: dict[str, str]) -> None:
    value = take(keys.REGION)
    if value is None:
        return
    if value in options:
        keys.PLACE.set(value)
        return
    with suppress(NetworkError):
        left, top, right, bottom = (round(100 * side) for side in read_region(value))
        keys.PLACE.set(_BY_HAND)
        keys.REGION_ACROSS.set((left, right))
        keys.REGION_DOWN.set((top, bottom))
        return
    refuse(keys.REGION, value, "The whole photo is meant: choose a region below.")


def _draw_by_hand() -> str:
    # Set also where it is the same: the sliders are gone while another place is chosen.
    for key in (keys.REGION_ACROSS, keys.REGION_DOWN):
        key.set(key.get())
    (left, right), (top, bottom) = (
        _widen(
            st.slider(label, 0, 100, key.default, key=key.name, width=220, persist_state="session")
        )
        for label, key in (
            ("Left to right, %", keys.REGION_ACROSS),
            ("Top to bottom, %", keys.REGION_DOWN),
        )
    )
    return write_region((left, top, right, bottom))


def _widen(ends: tuple[int, int]) -> tuple[float, float]:
    """Return both ends as shares, one percent apart at least."""
    start = min(ends[0], 99)
    return start / 100, max(ends[1], start + 1) / 100


def _describe(choices: Choices, place: Place) -> str:
    name = choices.network.classes[place.index]
    if choices.network.card.answer == "boxes":
        return f"{name} · score {place.share:.2f}"
    return f"{name} · {place.share:.0%} of the {choices.noun}"


def write_region(region: Region) -> str:
    """Return a region as an address has it."""
    return ",".join(f"{side:.4f}".rstrip("0").rstrip(".") for side in region)


def _choose_beside(choices: Choices) -> Choices:
    card = choices.network.card
    gallery = [choices.image, *(image for image in list_gallery() if fits(image, card))]
    images = {image.digest: image for image in gallery}
    first = next(iter([*images][1:]), choices.image.digest)
    samples = {image.sample: digest for digest, image in images.items() if image.sample}
    value = take(keys.BESIDE.name)
    if value in samples:
        keys.BESIDE.set(samples[value])
    elif value is not None:
        refuse(keys.BESIDE.name, value, "Another image stands beside: choose one below.")
    if keys.BESIDE.get() not in images:
        keys.BESIDE.set(first)
    digest = st.selectbox(
        f"Second {choices.noun}",
        list(images),
        format_func=lambda key: images[key].name,
        key=keys.BESIDE.name,
        help="Its embedding is what that of the photo is compared with: a sample, or one of the "
        "last photos of this session.",
        persist_state="session",
        width=320,
    )
    image = images[digest]
    note(keys.BESIDE.name, lambda: image.sample or OWN_PHOTO, images[first].sample)
    member = replace_image(choices, image)
    return replace(choices, at=Reading(beside=digest), beside=member.seen)
