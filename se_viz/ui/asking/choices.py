"""What every question of a page is about."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import streamlit as st
from PIL import Image

from se_viz.charts import depict
from se_viz.engine import Input, NetworkView, Seen
from se_viz.readings import WHOLE, Reading
from se_viz.ui.asking.engine import get_engine
from se_viz.ui.session import ChosenImage, Watch, get_photo


@dataclass(frozen=True, slots=True)
class Choices:
    """One image, one network, one device."""

    image: ChosenImage
    """The image, or another file."""
    network: NetworkView
    """The network, as pages see it."""
    name: str
    """Its name."""
    device: str
    """Name of the device it runs on."""
    photo: Image.Image
    """The square that the network sees, or a picture of its input."""
    inputs: Input | None = None
    """The input, where it is no photo: (1, channels, *sides)."""
    at: Reading = WHOLE
    """Where the network's answer is read."""
    beside: Seen | None = None
    """The second image as the network sees it, where an embedding is compared with one."""

    @property
    def all_seen(self) -> dict[str, Seen]:
        """Return what every question is about, by digest."""
        others = {} if self.beside is None else {self.at.beside: self.beside}
        return {**others, self.image.digest: self.seen}

    @property
    def seen(self) -> Seen:
        """What an engine is asked about."""
        return self.photo if self.inputs is None else self.inputs

    @property
    def noun(self) -> str:
        """What to call it on a page."""
        return "photo" if self.network.sees_photos else "input"

    @property
    def article(self) -> str:
        """The same with its article."""
        return "a photo" if self.network.sees_photos else "an input"


def choose(
    image: ChosenImage,
    network: NetworkView,
    device: str,
    watch: Watch = lambda _: None,
) -> Choices:
    """Return a network before an image, or before another file, which is read once.

    Raises:
        SeVizError: the file is nothing that this network takes; the text says what to do.
    """
    if network.sees_photos:
        photo = get_photo(image.digest, network.card.view, image.content, watch)
        return Choices(image, network, network.name, device, photo)
    inputs, picture = _get_input(
        image.digest, network.name, device, _content=image.content, _watch=watch
    )
    return Choices(image, network, network.name, device, picture, inputs)


def replace_image(choices: Choices, image: ChosenImage) -> Choices:
    """Return the same network before another image, its answer read at the same place.

    Raises:
        SeVizError: the file is nothing that this network takes; the text says what to do.
    """
    chosen = choose(image, choices.network, choices.device)
    return replace(chosen, at=choices.at, beside=choices.beside)


@st.cache_data(max_entries=64, max_size="256MB", show_spinner=False)
def _get_input(
    digest: str, name: str, device: str, *, _content: bytes, _watch: Callable[[int], None]
) -> tuple[Input, Image.Image]:
    engine = get_engine()
    inputs = engine.prepare(name, device, _content, progress=lambda _, __, ahead: _watch(ahead))
    return inputs, depict(inputs[0].float().numpy())
