"""What one browser session has chosen.

Kept apart from widgets, so that it survives a change of page.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from se_viz.errors import SeVizError
from se_viz.images import EXTENSIONS, Sample, list_samples
from se_viz.inputs import find_way
from se_viz.networks import NetworkCard, View
from se_viz.ui.session import keys
from se_viz.ui.session.address import complain, note, refuse, take
from se_viz.ui.session.photos import get_photo
from se_viz.ui.session.spinner import Watch, waiting

OWN_PHOTO = "upload"
"""What a link holds in place of a photo of one's own."""
_USUAL = View(192)
_MOST_PHOTOS = 6
_MOST_BYTES = 24 * 2**20


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
    sample: str = ""
    """Name of the sample in a link; empty for a photo of one's own."""
    is_photo: bool = True
    """Whether it is a photo, and no sound, array or other file."""


def note_photo() -> None:
    """Keep the photo in the address of every page."""
    image = chosen_image()
    note(keys.PHOTO, lambda: (image.sample or OWN_PHOTO) if image else None)


def chosen_image() -> ChosenImage | None:
    """Return the session's image, or None before the first choice."""
    return keys.IMAGE.get()


def list_gallery() -> tuple[ChosenImage, ...]:
    """Return the images that a page compares the chosen one with: the samples, and the session's
    last own photos.
    """
    return (*_samples(), *keys.OWN_PHOTOS.get())


def image_problem() -> str | None:
    """Return the sentence about the last file that could not be used, or None."""
    return keys.IMAGE_PROBLEM.get()


def choose_sample(sample: Sample) -> None:
    """Look at a sample image from now on."""
    keys.UNREAD_FILE.pop()
    _choose(_read(sample))


def choose_linked_photo() -> None:
    """Look at the sample that the link names, which opened the session.

    An own photo cannot be in a link: a sample stands in, and the page says so.
    """
    name = take(keys.PHOTO)
    if name is None:
        return
    samples = {sample.name: sample for sample in list_samples()}
    first = next(iter(samples.values()))
    choose_sample(samples.get(name, first))
    if name == OWN_PHOTO:
        complain(
            f"The link was made with an uploaded photo, which no link can hold: the sample "
            f"{first.title} stands in. Upload the photo again in the sidebar."
        )
    elif name not in samples:
        refuse(keys.PHOTO, name, f"{first.title} is shown: choose another in the sidebar.")


def choose_file(widget: str) -> None:
    """Look at the file that the widget with this key holds, once `read_file` has read it."""
    file = keys.value_of(widget)
    if file is None:
        keys.IMAGE_PROBLEM.set(None)
    else:
        keys.UNREAD_FILE.set((file.name, file.getvalue()))


def fits(image: ChosenImage, card: NetworkCard) -> bool:
    """Tell whether a network takes an image, or a file that is none; of code of one's own nobody
    knows, and it takes all but photos.
    """
    way = find_way(card.preprocess or "rgb")
    if image.is_photo:
        return way.photos
    suffix = Path(image.name).suffix.lower().removeprefix(".")
    return suffix in way.suffixes or not way.suffixes


def read_file(check: Callable[[ChosenImage, Watch], None]) -> None:
    """Read the file that was chosen last, and look at it.

    On a broken one keep the image and say why. ``check`` reads files that are no photos, and may
    raise.

    Not where it is chosen: a run that ends while it waits for its turn would lose the file.
    """
    place = st.empty()
    unread = keys.UNREAD_FILE.get()
    if unread is None:
        return
    name, content = unread
    is_photo = not keys.WAY.get() or Path(name).suffix.lower().removeprefix(".") in EXTENSIONS
    image = ChosenImage(name, content, hashlib.sha256(content).hexdigest(), is_photo=is_photo)
    try:
        with place.container(), waiting("Reading the file…") as watch:
            # Decodes for the page at once: a file that decodes here will be shown.
            if is_photo:
                get_photo(image.digest, _USUAL, content, watch)
            else:
                check(image, watch)
    except SeVizError as error:
        keys.IMAGE_PROBLEM.set(str(error))
    else:
        _choose(image)
        _keep(image)
        keys.UPLOADS.set(keys.UPLOADS.get() + 1)
    place.empty()
    keys.UNREAD_FILE.pop()


def gates_are_new(network: str, digest: str) -> bool:
    """Return whether the session has not yet been shown this image's gates in this network, and
    from now on it has.
    """
    before = keys.GATES_SHOWN.get()
    keys.GATES_SHOWN.set((network, digest))
    return before != (network, digest)


def use_network(name: str) -> None:
    """Look with another network from the next run on: its widget in the sidebar may stand
    already.
    """
    keys.NEXT_NETWORK.set(name)


def open_block(chart: str) -> None:
    """Open the block that was clicked in the chart with this key.

    A click beside one changes nothing.
    """
    if data := _clicked(chart):
        keys.BLOCK.set(data)


def open_place_on(component: str) -> None:
    """Open the block that was clicked on the component with this key; on a cell, also its channel,
    step by step.
    """
    place = keys.value_of(component).place
    keys.BLOCK.set(place["block"])
    if place["channel"] is not None:
        keys.CHANNEL.set(int(place["channel"]))
        keys.set_value(keys.STEPS, True)


def open_channel_on(component: str) -> None:
    """Open the channel that was clicked on the component with this key."""
    keys.CHANNEL.set(int(keys.value_of(component).channel))


def open_channel(chart: str) -> None:
    """Open the channel that was clicked in the chart with this key.

    A click beside one changes nothing.
    """
    if data := _clicked(chart):
        keys.CHANNEL.set(int(data))


def _clicked(chart: str) -> str | None:
    points = keys.value_of(chart).selection.points
    if not points:
        return None
    data = points[0]["customdata"]
    # A column of custom data arrives bare, in a list or as a mapping, by the kind of array it was.
    while not isinstance(data, str):
        data = data[next(iter(data))] if isinstance(data, dict) else data[0]
    return data


def open_first_block(name: str) -> None:
    """Open a block that nobody has chosen."""
    keys.BLOCK.set(name)
    keys.FIRST_BLOCK.set(name)


def open_first_channel(channel: int) -> None:
    """Open a channel that nobody has chosen."""
    keys.CHANNEL.set(channel)
    keys.FIRST_CHANNEL.set(channel)


def is_chosen() -> bool:
    """Return whether somebody chose another block or channel than those that were opened first."""
    return (
        keys.BLOCK.get() != keys.FIRST_BLOCK.get() or keys.CHANNEL.get() != keys.FIRST_CHANNEL.get()
    )


def _choose(image: ChosenImage) -> None:
    before = chosen_image()
    if before is not None and before.digest != image.digest and not is_chosen():
        # It suits the last photo alone.
        keys.CHANNEL.pop()
        keys.FIRST_CHANNEL.pop()
    keys.IMAGE.set(image)
    keys.IMAGE_PROBLEM.set(None)


def _keep(image: ChosenImage) -> None:
    """Add a photo to the session's gallery; the oldest go where they are too many or too large."""
    photos = [photo for photo in keys.OWN_PHOTOS.get() if photo.digest != image.digest]
    photos = [*photos, image][-_MOST_PHOTOS:]
    while sum(len(photo.content) for photo in photos) > _MOST_BYTES:
        photos.pop(0)
    keys.OWN_PHOTOS.set(tuple(photos))


@st.cache_resource(show_spinner=False)
def _samples() -> tuple[ChosenImage, ...]:
    return tuple(map(_read, list_samples()))


def _read(sample: Sample) -> ChosenImage:
    content = sample.path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return ChosenImage(sample.title, content, digest, sample.credit, sample.name)
