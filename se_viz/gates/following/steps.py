"""What is known of a function's output, by what is known of its inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from se_viz.gates.following.intervals import (
    ANY,
    ARITHMETIC,
    BOUNDED,
    NAMES,
    Interval,
    bound,
    bound_two,
)
from se_viz.gates.following.marks import (
    GUESSED,
    LEARNED,
    LOST,
    MAPS,
    POOLED,
    SCALED,
    WEIGHT,
    Frame,
    Mark,
    Origin,
    Statistic,
    follow_axis,
    join,
)
from se_viz.gates.following.operations import (
    CONTRACTIONS,
    FIRST_AXIS,
    LAST_AXIS,
    LAYOUT,
    MIXING,
    PERMUTATIONS,
    POOLS,
    REDUCTIONS,
    is_weight,
    layer_shape,
    may_pool_whole,
    move_axis,
    name_statistic,
    pools_by_layer,
    reduced_axes,
)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One function as it ran."""

    func: Callable[..., Any]
    name: str
    args: Sequence[Any]
    kwargs: dict[str, Any]
    tensors: list[Tensor]
    """Every tensor among its arguments."""
    marks: list[Mark | None]
    """What is known of each."""
    frames: tuple[Frame, ...]
    """The modules that run, the outermost first."""
    exact: bool
    """Whether ranges and names of functions are asked for."""

    @property
    def data(self) -> list[tuple[Tensor, Mark]]:
        """Return the inputs that depend on what the model was given."""
        pairs = zip(self.tensors, self.marks, strict=True)
        return [(value, mark) for value, mark in pairs if mark is not None and mark is not WEIGHT]

    @property
    def weighs(self) -> bool:
        """Return whether a weight is among its inputs."""
        return any(map(is_weight, self.tensors)) or any(mark is WEIGHT for mark in self.marks)


def follow(step: Step, output: Tensor, place: int = 0) -> Mark | None:
    """Return what is known of one output; None where it depends on nothing that was given."""
    data = step.data
    if not data:
        if output.ndim > 2 and (step.name in FIRST_AXIS or step.name in LAST_AXIS):
            return MAPS[1 if step.name in FIRST_AXIS else output.ndim - 1]
        return WEIGHT if step.weighs else None
    if all(mark.levels for _, mark in data):
        return _follow_vector(step, data, output, place)
    maps = [(value, mark) for value, mark in data if not mark.levels]
    features, mark = next(
        (pair for pair in maps if pair[0].ndim == output.ndim and pair[1].axis is not None), maps[0]
    )
    return _follow_map(step, features, mark, output, place)


def _follow_map(
    step: Step, features: Tensor, mark: Mark, output: Tensor, place: int
) -> Mark | None:
    name = step.name
    if name in REDUCTIONS and len(step.data) == 1:
        return _reduce(step, features, mark, output, place)
    if name in POOLS or name in FIRST_AXIS:
        left = output.shape[2:].numel() if output.ndim > 2 else 0
        whole = may_pool_whole if name in POOLS else pools_by_layer
        if left == 1 and whole(name, step.args, step.kwargs, features):
            return _pool(step, mark, output, place)
        return MAPS[1]
    if name in CONTRACTIONS or name == "linear":
        if _is_pooled(features, mark, output):
            return _pool(step, mark, output, place)
        return MAPS[output.ndim - 1] if output.ndim > 2 else MAPS[LOST]
    if name in LAST_AXIS:
        return MAPS[output.ndim - 1]
    if name in ("layer_norm", "rms_norm") and len(step.args) > 1 and len(step.args[1]) == 1:
        return MAPS[output.ndim - 1]
    if name in PERMUTATIONS:
        axis = mark.axis
        if axis is not None and axis >= 0:
            axis = move_axis(step.func, step.args, step.kwargs, axis, features.ndim)
            axis = LOST if axis is None else axis
        return replace(MAPS[axis], masked=True) if mark.masked else MAPS[axis]
    axis = mark.axis if features.shape == output.shape else follow_axis(mark.axis, features, output)
    if name == "stack" and axis is not None and axis >= 0:
        axis = _stacked(step, mark.axis or 0, output)
    masked = mark.masked or _masks(step, mark)
    return Mark(axis=axis, masked=True) if masked else MAPS.get(axis, MAPS[LOST])


def _stacked(step: Step, axis: int, output: Tensor) -> int:
    given = step.args[1] if len(step.args) > 1 else step.kwargs.get("dim", 0)
    return axis + (given % output.ndim <= axis)


def _masks(step: Step, mark: Mark) -> bool:
    """Return whether places of a map are weighed: by a mask, or by attention to places."""
    if step.name in ("masked_fill", "where"):
        return True
    if step.name not in ("mul", "div") or len(step.tensors) < 2:
        return False
    axis = mark.axis if mark.axis is not None and mark.axis >= 0 else 1
    return any(
        not is_weight(value)
        and value.ndim > 1
        and value.numel() > value.shape[0]
        and (axis >= value.ndim or value.shape[axis] == 1)
        for value in step.tensors
    )


def _is_pooled(features: Tensor, mark: Mark, output: Tensor) -> bool:
    """Return whether one value a sample and channel is left of a map."""
    axis = mark.axis
    if axis is None or axis < 0 or axis >= features.ndim or features.ndim < 3:
        return False
    count = features.shape[0] * features.shape[axis]
    left = [size for size in output.shape if size > 1]
    sizes = [size for size in (features.shape[0], features.shape[axis]) if size > 1]
    return features.numel() > count and output.numel() == count and left == sizes


def _reduce(step: Step, features: Tensor, mark: Mark, output: Tensor, place: int) -> Mark | None:
    axes = reduced_axes(step.name, step.args, step.kwargs, features.ndim)
    if axes is None or 0 in axes:
        return None
    rest = [axis for axis in range(1, features.ndim) if axis not in axes]
    kept = output.ndim == features.ndim
    axis = mark.axis
    if axis is None or axis == LOST:
        guess = len(rest) == 1 and rest[0] in (1, features.ndim - 1)
        if axis is None and guess:
            return _pool(step, mark, output, place, guessed=rest[0] != 1)
        branches = axis == LOST and features.ndim > 4 and features.ndim - 1 in axes
        if branches and len(rest) <= 2:
            return _pool(step, mark, output, place)
        return MAPS[axis]
    if axis in axes:
        # Channels taken together: a map of places.
        return MAPS[axis if kept else LOST]
    if all(features.shape[other] == 1 for other in rest if other != axis):
        return _pool(step, mark, output, place)
    return Mark(
        axis=axis if kept else axis - sum(other < axis for other in axes), masked=mark.masked
    )


def _pool(step: Step, mark: Mark, output: Tensor, place: int, *, guessed: bool = False) -> Mark:
    before = len(mark.levels)
    kind = name_statistic(step.name, place, masked=mark.masked)
    # A copy: what comes next may work in place.
    statistic: Statistic = (kind, output.detach().clone(), before)
    own = Origin((statistic,), frames=step.frames, parts=_part(step))
    origin = own
    if before:
        origin = replace(
            own,
            statistics=(*mark.origin.statistics, statistic),
            squeezes=mark.origin.squeezes,
            layers=mark.origin.layers,
        )
    levels = (*mark.levels, POOLED)
    if not before and step.name in MIXING and step.weighs and step.name not in CONTRACTIONS:
        # A layer that pools has learned how.
        levels = (SCALED,)
    return Mark(levels, axis=GUESSED if guessed else None, origin=origin)


def _part(step: Step) -> frozenset[Any]:
    return frozenset((step.frames[-1].module,)) if step.frames else frozenset()


def _follow_vector(
    step: Step, data: list[tuple[Tensor, Mark]], output: Tensor, place: int
) -> Mark | None:
    name = step.name
    values = data[0][0]
    mark = join([mark for _, mark in data])
    if (name in POOLS or name in REDUCTIONS) and _pools_again(step, values, output):
        return _pool(step, mark, output, place)
    if name in MIXING and not _mixes_channels(step, values, mark):
        return MAPS[LOST]
    if name in MIXING and (step.weighs or len(data) == 1):
        mark = _learn(step, mark, values, LEARNED)
    elif step.weighs:
        mark = _learn(step, mark, values, SCALED)
    if name in BOUNDED and SCALED in mark.levels:
        levels = tuple(max(level, LEARNED) if level == SCALED else level for level in mark.levels)
        mark = replace(mark, levels=levels)
    if not step.exact:
        return _name_function(step, data, mark, output) if name in BOUNDED else mark
    return _link(step, data, _name_function(step, data, mark, output), output)


def _link(step: Step, data: list[tuple[Tensor, Mark]], mark: Mark, output: Tensor) -> Mark:
    """Note a function among those that make a gate, one after the other."""
    if step.name in LAYOUT and len(data) == 1:
        return mark
    chain = data[0][1].origin.chain
    links = None
    if chain is not None and len(data) == 1:
        links = (*chain, (step, output.detach().clone()))
    return replace(mark, origin=replace(mark.origin, chain=links))


def _pools_again(step: Step, values: Tensor, output: Tensor) -> bool:
    """Return whether a map of one place, which is all that pooling has left, is pooled itself."""
    if values.ndim < 3 or len(step.data) > 1:
        return False
    if step.name in POOLS:
        whole = may_pool_whole(step.name, step.args, step.kwargs, values)
        return whole and output.ndim > 2 and output.shape[2:].numel() == 1
    axes = reduced_axes(step.name, step.args, step.kwargs, values.ndim)
    places = {*range(2, values.ndim)}, {*range(1, values.ndim - 1)}
    return axes is not None and {*axes} in places and all(values.shape[axis] == 1 for axis in axes)


def _mixes_channels(step: Step, values: Tensor, mark: Mark) -> bool:
    # A convolution along the only axis that a raw input's mean has left goes over places.
    return not (mark.axis == GUESSED and step.name == "conv1d" and values.shape[1] == 1)


def _learn(step: Step, mark: Mark, values: Tensor, level: int) -> Mark:
    """Raise what has been pooled only, and keep what went into the first layer."""
    fresh = [place for place, before in enumerate(mark.levels) if before == POOLED]
    origin = mark.origin
    if fresh:
        kinds = " and ".join(dict.fromkeys(kind for kind, _, _ in origin.statistics))
        copy = values.detach().clone()
        squeezes = (*origin.squeezes, *((kinds, copy, place) for place in fresh))
        origin = replace(origin, squeezes=squeezes)
    if level == LEARNED and (shape := layer_shape(step.tensors)):
        origin = replace(origin, layers=(*origin.layers, shape))
    origin = replace(origin, parts=origin.parts | _part(step))
    levels = tuple(max(before, level) for before in mark.levels)
    return Mark(levels, mark.axis, origin=origin)


def _name_function(step: Step, data: list[tuple[Tensor, Mark]], mark: Mark, output: Tensor) -> Mark:
    """Note the function that a gate came from last, its range, and what it was given."""
    name = step.name
    if name in LAYOUT:
        return mark
    origin = mark.origin
    module = step.frames[-1].module if step.frames else None
    whole = module is not None and not module._modules and not module._parameters
    own = type(module).__name__ if whole and name not in MIXING else NAMES.get(name, name)
    if name in ARITHMETIC:
        low, high, closed = _sum_up(step, data) if step.exact else ANY
        function = own if whole else origin.function
        if origin.function == "exp" and (low, high) == (0.0, 1.0):
            # 1 / (1 + exp(-x)), written out: its exponent is not the value before the sigmoid.
            origin = replace(origin, logit=None)
            function = NAMES["sigmoid"]
        origin = replace(origin, function=function, low=low, high=high, closed=closed)
        return replace(mark, origin=origin)
    before = origin.low, origin.high, origin.closed
    low, high, closed = bound(name, tuple(step.args), step.kwargs, before) if step.exact else ANY
    logit = None if output is data[0][0] or name in MIXING else data[0][0]
    origin = replace(origin, function=own, low=low, high=high, closed=closed, logit=logit)
    return replace(mark, origin=origin)


def _sum_up(step: Step, data: list[tuple[Tensor, Mark]]) -> Interval:
    intervals = [(mark.origin.low, mark.origin.high, mark.origin.closed) for _, mark in data]
    if len(intervals) == 2:
        return bound_two(step.name, *intervals)
    others = [value for value in step.tensors if value is not data[0][0] and value.ndim]
    # Of shapes alone no values are known.
    if others and (others[0].is_meta or type(others[0]) not in (Tensor, nn.Parameter)):
        return ANY
    if not others:
        return bound(step.name, tuple(step.args), step.kwargs, intervals[0])
    least, most = others[0].detach().aminmax()
    ends = float(least), float(most), True
    return bound_two(step.name, intervals[0], ends)
