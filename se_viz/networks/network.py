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
from se_viz.gates.gains import find_gains, include_gains
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
    """Its SE blocks, each checked in one forward pass to multiply by the gate that is read. Where the network
    multiplies once more beside a block, as norm-free ones do by 2, ranges are those of gate x gain."""

    def __post_init__(self) -> None:
        """Check every SE block.

        Raises:
            NoSEBlocksError: the model has no SE block that can be read.
            NetworkError: it does not return one logit for each class.
        """
        found = inspect_gates(self.model, size=self.card.input_size)
        if not found.sites:
            # Raises, with the reason.
            find_gates(self.model, size=self.card.input_size)
        count = _count_logits(found.returned, self.card.title)
        if count != len(self.classes):
            raise NetworkError(
                f"{self.card.title} returns {count} values for {len(self.classes)} class names: its last layer is not "
                "the classifier that they name. Give the network with its classifier, or name every class, in the "
                "order of the logits."
            )
        gains = find_gains(self.model, {site.block for site in found.sites})
        object.__setattr__(self, "inspection", include_gains(found, gains))

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
        found, name = inspect_gates(model.eval().requires_grad_(False), size=input_size), type(model).__name__
        count = _count_logits(found.returned, name)
        card = NetworkCard(
            name=name,
            title=name,
            architecture=name,
            arguments={},
            classes=tuple(classes) or numbered_classes(count),
            input_size=input_size,
            mean=mean,
            std=std,
            parameters=sum(value.numel() for value in model.parameters()),
            top1=None,
            library="own",
            **dict.fromkeys(("evaluated_with", "trained_with", "data", "date", "sha256", "licence"), ""),
        )
        return cls(model, card, next(model.parameters()).device)

    def crop(self, image: Image.Image) -> Image.Image:
        """Return the square that the network sees, in pixels of its input."""
        return crop_image(image, self.card.view)

    def preprocess(self, image: Image.Image, *, whole: bool = False) -> Float[Tensor, "1 3 height width"]:
        """Turn an RGB image into the network's input: scaled, centre-cropped, normalised, on its device.

        As the source of the weights does, for an image of any size. With ``whole`` the image is taken whole,
        neither scaled nor cut: for a square that `crop` returned, or that was cut out before.

        Raises:
            NetworkError: an image that is taken whole is not of the network's size.
        """
        side = self.card.input_size
        if whole and image.size != (side, side):
            raise NetworkError(
                f"The image is {image.width} x {image.height} pixels, and {self.card.title} sees {side} x {side}: it "
                "cannot be taken whole. Cut it out with `Network.crop`, or leave `whole` out."
            )
        square = image if whole else self.crop(image)
        pixels = transforms.to_dtype(transforms.pil_to_tensor(square), torch.float32, scale=True)
        return transforms.normalize(pixels, list(self.card.mean), list(self.card.std))[None].to(self.device)


def _count_logits(returned: tuple[int, ...] | str, title: str) -> int:
    if isinstance(returned, str) or len(returned) != 2 or returned[0] != 1:
        raise NetworkError(
            f"{title} returns {returned} for one image, and se_viz needs a classifier's (1, classes) logits. Choose "
            "another network, or wrap the model in a module that returns them."
        )
    return returned[1]
