"""Networks that can be loaded by name, ready to look at an image."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as transforms

from se_viz.errors import CheckpointError, NetworkError
from se_viz.images import centre_square
from se_viz.networks.card import NetworkCard
from se_viz.networks.checkpoints import read_cards, read_weights
from se_viz.networks.resnet import build_se_resnet
from se_viz.runtime import choose_device


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A loaded network in evaluation mode, its parameters frozen."""

    model: nn.Module
    """The module itself; (batch, 3, height, width) in, (batch, classes) logits out."""
    card: NetworkCard
    """Where it comes from."""
    device: torch.device
    """Where it runs."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Readable class names, in the order of the logits."""
        return self.card.classes

    def crop(self, image: Image.Image) -> Image.Image:
        """Return the square that the network sees, in pixels of its input."""
        return centre_square(image, self.card.input_size)

    def preprocess(self, image: Image.Image) -> Float[Tensor, "1 3 height width"]:
        """Turn an RGB image into the network's input: scaled, centre-cropped, normalised, on its device."""
        pixels = transforms.to_dtype(transforms.pil_to_tensor(self.crop(image)), torch.float32, scale=True)
        return transforms.normalize(pixels, list(self.card.mean), list(self.card.std))[None].to(self.device)


def list_networks(folder: Path | None = None) -> tuple[NetworkCard, ...]:
    """Return the cards of all bundled networks, or of those in ``folder``.

    Raises:
        CheckpointError: a card cannot be read.
    """
    return read_cards(folder)


def load_network(name: str, device: str | None = None, *, folder: Path | None = None) -> Network:
    """Load a bundled network, or one of ``folder``, to a device (default: the best there is).

    Raises:
        NetworkError: there is no network of this name.
        CheckpointError: its weights are missing, damaged or do not fit.
        DeviceError: the device is not on this machine.
    """
    cards = {card.name: card for card in list_networks(folder)}
    if name not in cards:
        known = f"Choose one of: {', '.join(cards)}." if cards else "Train one with `python -m se_viz train`."
        raise NetworkError(f"There is no network {name!r}. {known}")
    place = choose_device(device).device
    card = cards[name]
    try:
        model = build_se_resnet(card.architecture, num_classes=len(card.classes), **card.arguments)
    except TypeError as error:
        raise CheckpointError(
            f"The card of {name} has arguments that cannot be built ({error}). Restore the file."
        ) from error
    read_weights(model, card, folder)
    return Network(model.eval().requires_grad_(False).to(place), card, place)
