"""What a traced pass knows of a tensor: a feature map, a statistic of one, or what was learned
from it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf, prod
from typing import Any, TypeAlias

from torch import Tensor, nn

POOLED = 1
"""One value for each sample and channel of a map, and nothing learned yet."""
SCALED = 2
"""The same after weights of its own for each channel, as a norm has: no gate so far."""
LEARNED = 3
"""What layers made of it."""

LOST = -1
"""The axis of channels where a reshape has split or merged it."""

GUESSED = -2
"""The last axis of what the model was given, taken for that of channels since all else was
pooled."""

Statistic: TypeAlias = tuple[str, Tensor, int]
"""How a map was pooled, e.g. ``mean``, the values, and the number of poolings before."""


@dataclass(slots=True, eq=False)
class Frame:
    """One module while its ``forward`` runs."""

    module: nn.Module
    products: int = 0
    """Products with a gate in its own code."""
    inputs: "tuple[Mark | None, ...]" = ()
    """What was known of the tensors it was given."""


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where a factor comes from: what was pooled, the layers behind, and the last function."""

    statistics: tuple[Statistic, ...] = ()
    """What was pooled, as it was pooled."""
    squeezes: tuple[Statistic, ...] = ()
    """What went into the first layer."""
    layers: tuple[tuple[int, int], ...] = ()
    """Outputs and inputs of each layer, in their order."""
    function: str = ""
    low: float = -inf
    high: float = inf
    closed: bool = False
    logit: Tensor | None = None
    """What the last function was given."""
    chain: tuple[Any, ...] | None = ()
    """Each function since the pooling with what it put out, where that is asked for; None where
    several values came together."""
    frames: tuple[Frame, ...] = ()
    """The modules that ran around all of it, the outermost first."""
    parts: frozenset[nn.Module] = frozenset()
    """The modules whose code took part."""


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """One product of a map with a gate."""

    frame: Frame
    features: Any
    """A weak reference to the map."""


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """What is known of one tensor."""

    levels: tuple[int, ...] = ()
    """For each pooling behind it how far it has come since, the first pooling first; none for a
    map."""
    axis: int | None = None
    """The axis of channels of a map; None where it is not known yet."""
    masked: bool = False
    """Whether places of the map were weighed or left out."""
    bases: tuple[Any, ...] = ()
    """Weak references to the factors of a product that is still as it was."""
    use: Use | None = None
    origin: Origin = Origin()

    @property
    def level(self) -> int:
        """Return how far it has come since any pooling."""
        return max(self.levels, default=0)

    def level_over(self, other: "Mark") -> int:
        """Return how far it has come since the map that ``other`` is was pooled."""
        return max(self.levels[len(other.levels) :], default=0)


MAPS = {axis: Mark(axis=axis) for axis in (None, LOST, *range(16))}
"""The marks of maps, by their axis of channels."""

WEIGHT = Mark(axis=LOST)
"""The mark of what depends on weights alone, as a normed weight does."""


def join(marks: Sequence[Mark]) -> Mark:
    """Return what is known of a function of several tensors; of maps, the first map's mark.

    What has a map among its inputs is a map again.
    """
    count = min(len(mark.levels) for mark in marks)
    if count == 0:
        return next(mark for mark in marks if not mark.levels)
    if len(marks) == 1:
        return marks[0]
    levels = tuple(max(mark.levels[place] for mark in marks) for place in range(count))
    return Mark(levels, marks[0].axis, origin=_join_origins([mark.origin for mark in marks]))


def _join_origins(origins: list[Origin]) -> Origin:
    main = max(origins, key=lambda origin: len(origin.layers))
    return replace(
        main,
        statistics=_unique(item for origin in origins for item in origin.statistics),
        squeezes=_unique(item for origin in origins for item in origin.squeezes),
        frames=common_frames([origin.frames for origin in origins]),
        parts=frozenset().union(*(origin.parts for origin in origins)),
    )


def common_frames(stacks: Sequence[tuple[Frame, ...]]) -> tuple[Frame, ...]:
    """Return the frames that several stacks begin with."""
    common = []
    for frames in zip(*stacks, strict=False):
        if any(frame is not frames[0] for frame in frames):
            break
        common.append(frames[0])
    return tuple(common)


def _unique(items: Iterable[Statistic]) -> tuple[Statistic, ...]:
    return tuple({(id(item[1]), item[2]): item for item in items}.values())


def follow_axis(axis: int | None, before: Tensor, after: Tensor) -> int | None:
    """Return where an axis is after a function that moved no axis past another.

    Views and reshapes keep it where as many values come before it, and it is as long.
    """
    if axis is None or axis == LOST or axis >= before.ndim:
        return axis
    length = before.shape[axis]
    if before.numel() == after.numel():
        ahead = prod(before.shape[:axis])
        for place, size in enumerate(after.shape):
            if size == length and prod(after.shape[:place]) == ahead:
                return place
        return LOST
    if before.ndim == after.ndim:
        return axis
    if before.ndim < after.ndim:
        place = axis + after.ndim - before.ndim
        return place if after.shape[place] == length else LOST
    stride = before.stride(axis)
    places = [
        place
        for place, size in enumerate(after.shape)
        if size == length and after.stride(place) == stride
    ]
    return places[0] if places else LOST
