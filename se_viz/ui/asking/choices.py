"""What every question of a page is about."""

from dataclasses import dataclass

from PIL import Image

from se_viz.engine import NetworkView
from se_viz.ui.session import ChosenImage


@dataclass(frozen=True, slots=True)
class Choices:
    """One image, one network, one device."""

    image: ChosenImage
    """The image."""
    network: NetworkView
    """The network, as pages see it."""
    name: str
    """Its name."""
    device: str
    """Name of the device it runs on."""
    photo: Image.Image
    """The square that the network sees."""
