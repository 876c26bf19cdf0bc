"""Which factor of a product is a gate: one value a sample and channel, learned from a pooled
map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from se_viz.gates.following.marks import LEARNED, LOST, WEIGHT, Mark, Origin
from se_viz.gates.following.steps import Step


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """A gate in a product, as it lies in the function's arguments."""

    features: Tensor
    mark: Mark
    """What is known of the map."""
    values: Tensor
    """The factor as the function is given it."""
    origin: Origin
    places: tuple[int | None, ...]
    """For each axis of the map the factor's own, or None."""
    axis: int
    """The map's axis of channels."""
    refusal: str = ""
    """What keeps it from being the gate of a block."""

    @property
    def last(self) -> bool:
        """Return whether channels come last."""
        return self.axis != 1

    @property
    def gate(self) -> Tensor:
        """Return the gates as (batch, channels)."""
        gate = self.values
        rows, columns = self.places[0], self.places[self.axis]
        for place in reversed(range(gate.ndim)):
            if place not in (rows, columns):
                gate = gate.select(place, 0)
        return gate if rows is not None and columns is not None and rows < columns else gate.t()

    def replace(
        self, gate: Tensor, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the function's arguments with other gates of (rows, channels)."""
        rows, columns = self.places[0], self.places[self.axis]
        assert rows is not None
        assert columns is not None
        shape = [1] * self.values.ndim
        shape[rows], shape[columns] = gate.shape
        whole = [*self.values.shape]
        whole[rows] = len(gate)
        values = (gate if rows < columns else gate.t()).reshape(shape).expand(whole)

        def swap(value: Any) -> Any:
            if isinstance(value, (list, tuple)):
                return type(value)(map(swap, value))
            return values if value is self.values else value

        return tuple(map(swap, args)), {key: swap(value) for key, value in kwargs.items()}

    def choose_squeeze(self) -> tuple[Tensor | None, str]:
        """Return the statistic with one value a channel, and how all that count were pooled."""
        behind = len(self.mark.levels)
        count = self.features.shape[0] * self.features.shape[self.axis]
        statistics = [item for item in self.origin.statistics if item[2] >= behind]
        first = min((item[2] for item in statistics), default=0)
        statistics = [item for item in statistics if item[2] == first]
        squeezes = [item for item in self.origin.squeezes if item[2] == first]
        kinds = " and ".join(dict.fromkeys(kind for kind, _, _ in statistics))
        fitting = [item for item in (*squeezes, *statistics) if item[1].numel() == count]
        means = [values for kind, values, _ in fitting if kind == "mean"]
        return next(iter([*means, *(values for _, values, _ in fitting)]), None), kinds


def find_factor(step: Step) -> Factor | None:
    """Return the gate among the factors of a product, or None."""
    # What is added to a product is none of its factors.
    start = 1 if step.name == "addcmul" else 0
    factors = zip(step.tensors[start:], step.marks[start:], strict=True)
    pairs = [(value, mark) for value, mark in factors if mark is not None and mark is not WEIGHT]
    if len(pairs) != 2:
        return None
    (first, its), (second, other) = pairs
    if len(its.levels) > len(other.levels):
        first, its, second, other = second, other, first, its
    # The first is the map, unless both are as far behind a pooling.
    if other.level_over(its) < LEARNED or first.ndim < 3:
        return None
    places = _align(step, first, second)
    if places is None or first.numel() < second.numel():
        return None
    return _judge(
        step, Factor(first, its, second, other.origin, places, _axis(its, places, second))
    )


def _axis(mark: Mark, places: Sequence[int | None], values: Tensor) -> int:
    if mark.axis is not None and mark.axis >= 0 and mark.axis < len(places):
        return mark.axis
    if mark.axis == LOST:
        return LOST
    varying = _varying(places, values)
    return varying[0] if len(varying) == 1 and varying[0] in (1, len(places) - 1) else LOST


def _varying(places: Sequence[int | None], values: Tensor) -> list[int]:
    """Return the axes of the map along which the factor holds more than one value."""
    return [
        axis
        for axis, place in enumerate(places)
        if axis and place is not None and values.shape[place] > 1 and values.stride(place)
    ]


def _judge(step: Step, factor: Factor) -> Factor | None:
    features, values = factor.features, factor.values
    varying = _varying(factor.places, values)
    rows = factor.places[0]
    if rows is None or values.shape[rows] != features.shape[0]:
        return None
    others = [axis for axis in varying if axis != factor.axis]
    if factor.axis in (1, features.ndim - 1):
        place = factor.places[factor.axis]
        whole = place is not None and values.shape[place] == features.shape[factor.axis]
        # A channel's only value, of a map with one channel, tells no channel from a sample.
        several = features.shape[factor.axis] > 1 and factor.axis in varying
        # One map for all channels is an attention to places, and none of features.
        several = several and features.stride(factor.axis) > 0
        if whole and several and _is_constant(values, [factor.places[axis] for axis in others]):
            return _refuse(factor, "sum") if step.name == "addcmul" else factor
    shared = [
        axis for axis in range(1, features.ndim) if axis not in varying and features.shape[axis] > 1
    ]
    if shared and varying and features.ndim > 4 and (len(varying) > 1 or factor.axis == LOST):
        return _refuse(factor, "branches")
    return None


def _refuse(factor: Factor, words: str) -> Factor:
    return Factor(
        factor.features,
        factor.mark,
        factor.values,
        factor.origin,
        factor.places,
        factor.axis,
        words,
    )


def _is_constant(values: Tensor, axes: Sequence[int | None]) -> bool:
    """Return whether values do not change along some axes, as where a gate was copied to all
    places.
    """
    return values.is_meta or all(
        axis is None or bool((values.narrow(axis, 0, 1) == values).all()) for axis in axes
    )


def _align(step: Step, features: Tensor, values: Tensor) -> tuple[int | None, ...] | None:
    """Return for each axis of the map which of the factor's it meets; None for another product."""
    if step.name != "einsum":
        ahead = features.ndim - values.ndim
        if ahead < 0:
            return None
        return tuple(axis - ahead if axis >= ahead else None for axis in range(features.ndim))
    equation = step.args[0]
    if not isinstance(equation, str) or "->" not in equation or "." in equation:
        return None
    inputs, output = equation.replace(" ", "").split("->")
    letters = dict(zip(map(id, step.tensors), inputs.split(","), strict=False))
    if letters.get(id(features)) != output or len(inputs.split(",")) != 2:
        return None
    own = letters[id(values)]
    return tuple(own.index(letter) if letter in own else None for letter in output)
