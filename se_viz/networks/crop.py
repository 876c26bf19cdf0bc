"""What a network sees of a photo: scaled and cut out as the source of its weights states."""

from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from se_viz.images import centre_square
from se_viz.networks.card import View


def crop_image(image: Image.Image, view: View) -> Image.Image:
    """Return the square that a network sees, in pixels of its input.

    The same steps as torchvision's and timm's own transforms, for an image of any size: one of
    exactly the network's size is scaled and cut as every other.
    """
    side = view.size
    if view.resize is None:
        return centre_square(image, side)
    # One number scales the shorter side to it; two numbers scale both.
    target = [view.resize] if view.crop == "centre" else [view.resize, view.resize]
    scale = v2.Resize(target, interpolation=InterpolationMode(view.interpolation))
    return v2.CenterCrop(side)(scale(image))
