"""The image that strides are measured from: what the first convolution or pooling of a pass takes
in.

Why: docs/decisions/006-stage-is-a-stride.md
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import lru_cache
from itertools import takewhile
from math import log2
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import _AvgPoolNd, _MaxPoolNd

from se_viz.gates.compiled import is_wrapped

_DEPTH = 5
"""Containers in containers that are looked into for tensors."""


@dataclass(frozen=True, slots=True)
class Stem:
    """A convolution or pooling that takes in an image: the first of a pass, or of what the model
    was given.
    """

    path: str
    """Dotted path inside the model."""
    axes: int
    """Number of axes of what it takes in: 4 for images."""
    height: int
    """The image's height, or its length where it has one axis in space."""


@dataclass(eq=False, slots=True)
class Images:
    """What one pass was given, and what its stems took in, each as of its latest run."""

    arguments: list[Tensor]
    """Every tensor among the model's arguments."""
    opaque: bool = False
    """Whether a stem may have run unseen, in TorchScript."""
    stems: dict[nn.Module, Stem] = field(default_factory=dict)
    """The stems that have run, in that order."""
    begun: set[int] = field(default_factory=set)
    """Numbers of axes of the blocks that ran before any stem: convolutions after them take in no
    image."""
    upwards: bool | None = None
    """Whether odd heights are halved upwards, as with padding, or downwards; None until a block
    tells."""

    def meet(self, path: str, module: nn.Module, features: Tensor) -> None:
        """Note what a convolution takes in, if it is an image."""
        # A map of one pixel is a vector, as after pooling, and no image.
        if features.ndim < 3 or max(features.shape[2:]) == 1:
            return
        if (
            module in self.stems
            or self._is_first(features)
            or any(features is tensor for tensor in self.arguments)
        ):
            self.stems[module] = Stem(path, features.ndim, self._height(features))

    def _is_first(self, features: Tensor) -> bool:
        """Return whether a map is the first of its kind, or an image that is larger than what ran
        before it.

        A mask, or a thumbnail that says where to look, may run before the image itself.
        """
        before = [stem.height for stem in self.stems.values() if stem.axes == features.ndim]
        if not before:
            return features.ndim not in self.begun
        colours = {tensor.shape[1] for tensor in self.arguments if tensor.ndim == features.ndim}
        return features.shape[1] in colours and height_of(features) > max(before)

    def height(self, block: str, features: Tensor, *, channels_last: bool) -> int:
        """Return the height of the image that a block's input comes from.

        Of several stems, such as those of two towers, the one nearest to the block in the model's
        tree counts. Where no convolution ran before the block, it is a tensor of as many axes that
        the model was given.
        """
        arguments = [tensor for tensor in self.arguments if tensor.ndim == features.ndim]
        stems = [stem for stem in self.stems.values() if stem.axes == features.ndim]
        if stems and not (self.opaque and arguments):
            if len(stems) == 1:
                return stems[0].height
            return max(stems, key=lambda stem: _shared(stem.path, block)).height
        self.begun.add(features.ndim)
        return height_of(arguments[0] if arguments else features, channels_last=channels_last)

    def _height(self, features: Tensor) -> int:
        # Space moved into channels, as some networks begin, makes no smaller image of it.
        wider = (tensor for tensor in self.arguments if _is_unshuffled(tensor, features))
        return height_of(next(wider, features))


_stems: "WeakKeyDictionary[nn.Module, dict[nn.Module, str]]" = WeakKeyDictionary()


def candidates(model: nn.Module, blocks: Iterable[nn.Module]) -> dict[nn.Module, str]:
    """Return what may be a stem outside of SE blocks, with its path.

    Once a pass has shown them, the stems alone.

    What `torch.compile` has wrapped counts as one: hooks see it from outside alone.
    """
    stems = _stems.get(model)
    if stems and all(_at(model, path) is module for module, path in stems.items()):
        return stems
    inside = {module for block in blocks for module in block.modules()}
    return {
        module: path
        for path, module in model.named_modules()
        if module not in inside and _may_be_stem(module)
    }


def has_script(model: nn.Module) -> bool:
    """Return whether a part of a model is TorchScript, where no hook sees what a stem takes in."""
    return any(isinstance(module, torch.jit.ScriptModule) for module in model.modules())


def remember(model: nn.Module, images: Images) -> None:
    """Keep which convolutions are a model's stems: hooks on all the others would cost time in
    every pass.
    """
    if images.stems:
        _stems[model] = {
            **_stems.get(model, {}),
            **{module: stem.path for module, stem in images.stems.items()},
        }
    else:
        _stems.pop(model, None)


def stage_of(images: Images, block: str, features: Tensor, *, channels_last: bool) -> int:
    """Return log2 of the stride of a block's input; below 0 where it is larger than the image.

    Odd heights are halved upwards with padding and downwards without, so that 33 rows become 3 or 2
    at a stride of 16.
    """
    height = images.height(block, features, channels_last=channels_last)
    own = height_of(features, channels_last=channels_last)
    about, up, down = _halvings(height, own)
    if up is None or down is None:
        # A height that only one way of halving explains decides for the whole pass.
        images.upwards = images.upwards if up == down else down is None
        return about if up == down else max(count for count in (up, down) if count is not None)
    if images.upwards is None:
        return min(up, down, key=lambda count: abs(count - about))
    return up if images.upwards else down


@lru_cache(maxsize=1024)
def _halvings(height: int, own: int) -> tuple[int, int | None, int | None]:
    """Return the nearest number of halvings from one height to another, and the number of those
    upwards and downwards that lead there.
    """
    counts = range(height.bit_length() + 1)
    up = next((count for count in counts if -(-height >> count) == own), None)
    down = next((count for count in counts if height >> count == own), None)
    return round(log2(height / own)), up, down


def height_of(features: Tensor, *, channels_last: bool = False) -> int:
    """Return the height of a map of (batch, channels, ..., height, width), or its length with one
    axis in space.
    """
    sides = features.shape[1:-1] if channels_last else features.shape[2:]
    return sides[-2] if len(sides) > 1 else sides[-1]


def tensors_in(value: Any, depth: int = _DEPTH) -> Iterator[Tensor]:
    """Yield the tensors in arguments of any kind: lists, mappings, dataclasses and plain objects
    of tensors.
    """
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
    # Lists of images of some libraries are objects that hold a tensor; what else they hold is none
    # of ours.
    return [item for item in getattr(value, "__dict__", {}).values() if isinstance(item, Tensor)]


def _may_be_stem(module: nn.Module) -> bool:
    if isinstance(module, (_ConvNd, _MaxPoolNd, _AvgPoolNd, nn.PixelUnshuffle)) or is_wrapped(
        type(module)
    ):
        return True
    # Other convolutions than PyTorch's own, such as quantised ones, are told by their name.
    return "conv" in type(module).__name__.lower() and not module._modules


def _is_unshuffled(image: Tensor, features: Tensor) -> bool:
    if image.ndim != features.ndim or image.shape[0] != features.shape[0] or not features.numel():
        return False
    factor = image.shape[-1] // features.shape[-1]
    # Every value is still there: as much smaller as the channels are more.
    sides = [factor * side for side in features.shape[2:]] == [*image.shape[2:]]
    return factor > 1 and sides and features.shape[1] == image.shape[1] * factor ** (image.ndim - 2)


def _at(model: nn.Module, path: str) -> nn.Module | None:
    try:
        return model.get_submodule(path)
    except AttributeError:
        return None


def _shared(path: str, block: str) -> int:
    pairs = zip(path.split("."), block.split("."), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
