"""Where an SE block goes in each family of torchvision's networks, by the paper's sections 3.3 and
6.5.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models import inception, mnasnet, mobilenetv2, mobilenetv3, shufflenetv2
from torchvision.models.convnext import CNBlock
from torchvision.models.densenet import _DenseLayer
from torchvision.models.efficientnet import FusedMBConv, MBConv
from torchvision.models.googlenet import Inception
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.vgg import VGG
from torchvision.ops import SqueezeExcitation

from se_viz.errors import NetworkError

INTEGRATIONS = ("standard", "pre", "post", "identity", "3x3")
"""Where the block stands beside a residual unit (section 6.5)."""


class Place(NamedTuple):
    """A module by the one that holds it."""

    owner: nn.Module
    """The module that holds it."""
    name: str
    """Its name there."""


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """Where one block goes."""

    unit: Place
    """The building unit that it belongs to, whose output says the stage."""
    target: Place
    """The module that it stands beside; None there is a shortcut without a module."""
    side: Literal["after", "before"]
    """On which side of it."""
    path: str
    """Dotted path of the target, for sentences."""


Finder = Callable[[nn.Module, str], "tuple[Place, Literal['after', 'before']]"]
"""Takes a unit and an integration, and returns the module that the block stands beside."""


def find_spots(model: nn.Module, integration: str) -> list[Spot]:
    """Return where blocks go in a network of a known family, in the order of its modules.

    Raises:
        NetworkError: the family is not known, or does not have this integration.
    """
    spots = [_spot(place, path, integration) for place, path in _units(model)]
    if not spots:
        raise NetworkError(
            f"{type(model).__name__} is built of no unit that se_viz puts SE blocks into by itself "
            "(torchvision's ResNet, ResNeXt, Wide ResNet, VGG, Inception v3, GoogLeNet, DenseNet, "
            "MobileNet, ShuffleNetV2, MNASNet, ConvNeXt, EfficientNet). Say where with `where`, a "
            "function of a module's path and the module."
        )
    return spots


def choose_spots(model: nn.Module, where: Callable[[str, nn.Module], bool]) -> list[Spot]:
    """Return a spot after each module for which a rule is true.

    Raises:
        NetworkError: it is true of no module, or of the whole model.
    """
    if where("", model):
        raise NetworkError(
            f"The rule `where` is true of the whole {type(model).__name__}, which cannot be "
            "replaced in place. Let it be false where the path is empty."
        )
    spots = [
        Spot(place, place, "after", path)
        for place, path in _children(model)
        if where(path, getattr(place.owner, place.name))
    ]
    if not spots:
        raise NetworkError(
            f"The rule `where` is true of no module of {type(model).__name__}. Look at its paths "
            "with `model.named_modules()`."
        )
    return spots


def check_plain(model: nn.Module) -> None:
    """Refuse a network that has SE blocks which `strip` leaves.

    Raises:
        NetworkError: it has.
    """
    own = {part for unit in model.modules() if _is_stripped(unit) for part in unit.modules()}
    for path, part in model.named_modules():
        if isinstance(part, SqueezeExcitation) and part not in own:
            raise NetworkError(
                f"{type(model).__name__} has an SE block already, {path}. Build it anew without, "
                "or say with `where` where more are to go."
            )


def strip(model: nn.Module) -> None:
    """Take torchvision's own SE blocks out of MobileNetV3 and EfficientNet, in place."""
    for unit in model.modules():
        if _is_stripped(unit):
            for name, part in unit.get_submodule("block").named_children():
                if isinstance(part, SqueezeExcitation):
                    setattr(unit.block, name, nn.Identity())


def _is_stripped(unit: nn.Module) -> bool:
    return isinstance(unit, MBConv | mobilenetv3.InvertedResidual)


def _children(model: nn.Module) -> Iterator[tuple[Place, str]]:
    for path, owner in model.named_modules():
        for name, _ in owner.named_children():
            yield Place(owner, name), f"{path}.{name}" if path else name


def _units(model: nn.Module) -> Iterator[tuple[Place, str]]:
    """Yield every building unit: what a row of `_RESIDUAL` or `_OTHERS` is of, and in a VGG the
    functions after its convolutions.
    """
    for place, path in _children(model):
        unit = getattr(place.owner, place.name)
        if isinstance(unit, (*_RESIDUAL, *_OTHERS)) or (
            isinstance(unit, nn.ReLU) and isinstance(model, VGG) and place.owner is model.features
        ):
            yield place, path


def _spot(place: Place, path: str, integration: str) -> Spot:
    unit = getattr(place.owner, place.name)
    find = next((find for kind, find in _RESIDUAL.items() if isinstance(unit, kind)), None)
    if integration == "post" or (integration == "standard" and not find):
        if not find and integration == "post":
            raise _no(unit, integration)
        return Spot(place, place, "after", path)
    if not find:
        raise _no(unit, integration)
    target, side = find(unit, integration)
    return Spot(place, target, side, f"{path}.{target.name}")


def _no(unit: nn.Module, integration: str) -> NetworkError:
    return NetworkError(
        f"Integration {integration} is for residual units (section 6.5 of the paper) that have its "
        f"place, and {type(unit).__name__} has not. Choose standard."
    )


def _in_resnet(unit: nn.Module, integration: str) -> tuple[Place, Literal["after", "before"]]:
    wide = isinstance(unit, Bottleneck)
    if integration == "3x3" and not wide:
        raise _no(unit, integration)
    names: dict[str, tuple[str, Literal["after", "before"]]] = {
        "standard": ("bn3" if wide else "bn2", "after"),
        "pre": ("conv1", "before"),
        "identity": ("downsample", "after"),
        "3x3": ("bn2", "after"),
    }
    name, side = names[integration]
    return Place(unit, name), side


def _in_row(layers: str) -> Finder:
    """Return the rule of units whose branch is a row of layers under the name ``layers``."""

    def find(unit: nn.Module, integration: str) -> tuple[Place, Literal["after", "before"]]:
        row = unit.get_submodule(layers)
        names = [name for name, _ in row.named_children()]
        if integration == "standard":
            return Place(row, names[-1]), "after"
        if integration == "pre":
            return Place(row, names[0]), "before"
        spatial = _after_spatial(row) if integration == "3x3" else None
        if spatial is None:
            raise _no(unit, integration)
        return Place(row, spatial), "after"

    return find


def _after_spatial(row: nn.Module) -> str | None:
    """Return the name of what ends the spatial convolution: itself, its norm or its function."""
    last = None
    for name, part in row.named_children():
        if any(
            isinstance(inner, nn.Conv2d) and max(inner.kernel_size) > 1 for inner in part.modules()
        ):
            last = name
        elif last is not None:
            if not isinstance(part, _BatchNorm | nn.ReLU | nn.ReLU6):
                return last
            last = name
    return None


_RESIDUAL: dict[type[nn.Module], Finder] = {
    BasicBlock: _in_resnet,
    Bottleneck: _in_resnet,
    mobilenetv2.InvertedResidual: _in_row("conv"),
    mobilenetv3.InvertedResidual: _in_row("block"),
    mnasnet._InvertedResidual: _in_row("layers"),
    shufflenetv2.InvertedResidual: _in_row("branch2"),
    CNBlock: _in_row("block"),
    MBConv: _in_row("block"),
    FusedMBConv: _in_row("block"),
}
"""Units with a branch beside a shortcut."""
_OTHERS = (
    Inception,
    inception.InceptionA,
    inception.InceptionB,
    inception.InceptionC,
    inception.InceptionD,
    inception.InceptionE,
    _DenseLayer,
)
"""Units that are transformations as a whole (section 3.3)."""
