"""The image that strides are measured from: what the first convolution of a pass takes in."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import takewhile
from math import log2
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

_DEPTH = 5
"""Containers in containers that are looked into for tensors."""


@dataclass(frozen=True, slots=True)
class Stem:
    """A convolution that takes in an image: the first of a pass, or one that is given what the model was given."""

    path: str
    """Dotted path inside the model."""
    axes: int
    """Number of axes of what it takes in: 4 for images."""
    height: int
    """The image's height, or its length where it has one axis in space."""


@dataclass(eq=False, slots=True)
class Images:
    """What one pass was given, and what its stems took in, each as of its latest run."""

    given: list[Tensor]
    """Every tensor among the model's arguments."""
    stems: dict[nn.Module, Stem] = field(default_factory=dict)
    """The stems that have run, in that order."""

    def meet(self, path: str, module: nn.Module, features: Tensor) -> None:
        """Note what a convolution takes in, if it is an image."""
        axes = features.ndim
        if axes < 3 or max(features.shape[2:]) == 1:
            return
        first = all(stem.axes != axes for stem in self.stems.values())
        if module in self.stems or first or any(features is tensor for tensor in self.given):
            self.stems[module] = Stem(path, axes, self._height(features))

    def height(self, block: str, features: Tensor, *, channels_last: bool) -> int:
        """Return the height of the image that a block's input comes from.

        Of several stems, such as those of two towers, the one nearest to the block in the model's tree counts. Where
        no convolution ran before the block, it is a tensor of as many axes that the model was given.
        """
        stems = [stem for stem in self.stems.values() if stem.axes == features.ndim]
        if stems:
            return max(stems, key=lambda stem: _shared(stem.path, block)).height
        given = [tensor for tensor in self.given if tensor.ndim == features.ndim]
        return height_of(given[0] if given else features, channels_last=channels_last)

    def _height(self, features: Tensor) -> int:
        # Space moved into channels, as some networks begin, makes no smaller image of it.
        wider = (tensor for tensor in self.given if _is_unshuffled(tensor, features))
        return height_of(next(wider, features))


_known: "WeakKeyDictionary[nn.Module, dict[nn.Module, str]]" = WeakKeyDictionary()


def candidates(model: nn.Module, blocks: Iterable[nn.Module]) -> dict[nn.Module, str]:
    """Return the convolutions outside of SE blocks, with their paths; once a pass has shown them, the stems alone."""
    known = _known.get(model)
    if known and all(_at(model, path) is module for module, path in known.items()):
        return known
    inside = {module for block in blocks for module in block.modules()}
    return {module: path for path, module in model.named_modules() if module not in inside and _is_convolution(module)}


def remember(model: nn.Module, images: Images) -> None:
    """Keep which convolutions are a model's stems: hooks on all the others would cost time in every pass."""
    if images.stems:
        _known[model] = {**_known.get(model, {}), **{module: stem.path for module, stem in images.stems.items()}}
    else:
        _known.pop(model, None)


def stage_of(images: Images, block: str, features: Tensor, *, channels_last: bool) -> int:
    """Return log2 of the stride of a block's input; below 0 where it is larger than the image."""
    height = images.height(block, features, channels_last=channels_last)
    return round(log2(height / height_of(features, channels_last=channels_last)))


def height_of(features: Tensor, *, channels_last: bool = False) -> int:
    """Return the height of a map of (batch, channels, ..., height, width), or its length with one axis in space."""
    sides = features.shape[1:-1] if channels_last else features.shape[2:]
    return sides[-2] if len(sides) > 1 else sides[-1]


def tensors_in(value: Any, depth: int = _DEPTH) -> Iterator[Tensor]:
    """Yield the tensors in arguments of any kind: lists, mappings, dataclasses and plain objects of tensors."""
    if isinstance(value, Tensor):
        yield value
    elif depth and not isinstance(value, (str, bytes, int, float, nn.Module, type)):
        for item in _items(value):
            yield from tensors_in(item, depth - 1)


def _items(value: Any) -> Iterable[Any]:
    # The abstract class last: asking for it takes longer than all that comes before.
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, (dict, Mapping)):
        return list(value.values())
    if is_dataclass(value):
        return [getattr(value, item.name, None) for item in fields(value)]
    # Lists of images of some libraries are objects that hold a tensor; what else they hold is none of ours.
    return [item for item in getattr(value, "__dict__", {}).values() if isinstance(item, Tensor)]


def _is_convolution(module: nn.Module) -> bool:
    # Others than PyTorch's own, such as quantised ones, are told by their name.
    return isinstance(module, _ConvNd) or ("conv" in type(module).__name__.lower() and not module._modules)


def _is_unshuffled(image: Tensor, features: Tensor) -> bool:
    if image.ndim != features.ndim or image.shape[0] != features.shape[0] or not features.numel():
        return False
    factor = image.shape[-1] // features.shape[-1]
    sides = [factor * side for side in features.shape[2:]] == [*image.shape[2:]]
    return factor > 1 and sides and features.shape[1] == image.shape[1] * factor ** (image.ndim - 2)


def _at(model: nn.Module, path: str) -> nn.Module | None:
    try:
        return model.get_submodule(path)
    except AttributeError:
        return None


def _shared(left: str, right: str) -> int:
    pairs = zip(left.split("."), right.split("."), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
