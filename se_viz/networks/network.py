"""A loaded network: the model, where it comes from, and how a photo becomes its input."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as transforms

from se_viz.errors import NetworkError
from se_viz.gates import Inspection, find_gates, inspect_gates
from se_viz.networks.card import NetworkCard
from se_viz.networks.crop import crop_image
from se_viz.networks.labels import numbered_classes


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A loaded network in evaluation mode, its parameters frozen."""

    model: nn.Module
    """The module itself; (batch, 3, height, width) in, (batch, classes) logits out."""
    card: NetworkCard
    """Where it comes from."""
    device: torch.device
    """Where it runs."""
    inspection: Inspection = field(init=False)
    """Its SE blocks, each checked in one forward pass to multiply by the gate that is read."""

    def __post_init__(self) -> None:
        """Check every SE block.

        Raises:
            NoSEBlocksError: the model has no SE block that can be read.
        """
        found = inspect_gates(self.model, size=self.card.input_size)
        if not found.sites:
            # Raises, with the reason.
            find_gates(self.model, size=self.card.input_size)
        object.__setattr__(self, "inspection", found)

    @property
    def classes(self) -> tuple[str, ...]:
        """Readable class names, in the order of the logits."""
        return self.card.classes

    @classmethod
    def from_model(
        cls,
        model: nn.Module,
        *,
        classes: Sequence[str] = (),
        input_size: int = 224,
        mean: tuple[float, float, float] = (0.485, 0.456, 0.406),
        std: tuple[float, float, float] = (0.229, 0.224, 0.225),
    ) -> "Network":
        """Make a network of any model that takes (batch, 3, height, width) and returns (batch, classes) logits.

        It is the model itself, not a copy, on the device where it is; it is put into evaluation mode and its
        parameters are frozen. Without ``classes`` they are numbered. ``mean`` and ``std`` are ImageNet's.

        Raises:
            NoSEBlocksError: the model has no SE block that se_viz knows.
            NetworkError: it does not return one logit for each class.
        """
        like = next(model.parameters())
        with torch.no_grad():
            logits = model.eval().requires_grad_(False)(like.new_zeros(1, 3, input_size, input_size))
        _check_logits(logits, len(classes))
        card = NetworkCard(
            name=type(model).__name__,
            title=type(model).__name__,
            architecture=type(model).__name__,
            arguments={},
            classes=tuple(classes) or numbered_classes(logits.shape[1]),
            input_size=input_size,
            mean=mean,
            std=std,
            parameters=sum(value.numel() for value in model.parameters()),
            top1=None,
            library="own",
            **dict.fromkeys(("evaluated_with", "trained_with", "data", "date", "sha256", "licence"), ""),
        )
        return cls(model, card, like.device)

    def crop(self, image: Image.Image) -> Image.Image:
        """Return the square that the network sees, in pixels of its input."""
        return crop_image(image, self.card.view)

    def preprocess(self, image: Image.Image) -> Float[Tensor, "1 3 height width"]:
        """Turn an RGB image into the network's input: scaled, centre-cropped, normalised, on its device."""
        pixels = transforms.to_dtype(transforms.pil_to_tensor(self.crop(image)), torch.float32, scale=True)
        return transforms.normalize(pixels, list(self.card.mean), list(self.card.std))[None].to(self.device)


def _check_logits(logits: object, named: int) -> None:
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise NetworkError(
            f"The model returns {shape} for one image; se_viz needs (1, classes) logits. Wrap it in a module that "
            "returns them."
        )
    if named and named != logits.shape[1]:
        raise NetworkError(
            f"The model returns {logits.shape[1]} logits for {named} class names. Name every class, in the order of "
            "the logits."
        )
