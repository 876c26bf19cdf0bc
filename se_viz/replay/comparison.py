"""How far what was computed again is from what a bundle holds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from se_viz.replay.records import Answers, Settings

TOLERANCE = 1e-4
"""Largest difference that counts as the same, as a share of the largest value: a thousand roundings
of a float32, as other threads, devices and versions of PyTorch add in another order."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One kind of numbers, before and again."""

    what: str
    """``gates``, ``logits``, or a map by its method and class."""
    largest: float
    """The largest absolute difference; infinite where one has numbers that the other lacks."""
    scale: float
    """The largest absolute value before."""
    equal: bool
    """Whether every number is the same, bit for bit."""

    def within(self, tolerance: float = TOLERANCE) -> bool:
        """Tell whether the difference is at most this share of the largest value."""
        return self.equal or self.largest <= tolerance * max(self.scale, 1e-12)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a bundle's answers are compared with what was computed again."""

    differences: tuple[Difference, ...]
    """Of gates, logits and each map."""
    changed: tuple[str, ...] = ()
    """What is another one here than where the bundle was made, such as a version, in words."""
    tolerance: float = TOLERANCE
    """The share that was allowed."""

    @property
    def same(self) -> bool:
        """Tell whether all differences are within the tolerance."""
        return all(difference.within(self.tolerance) for difference in self.differences)


def compare(settings: Settings, before: Answers, again: Answers) -> tuple[Difference, ...]:
    """Return the differences of gates, logits and each map."""
    return (
        _of_gates(before.gates, again.gates),
        _difference("logits", [(before.logits, again.logits)]),
        *_of_maps(settings, before.maps, again.maps),
    )


def _of_gates(before: Mapping[str, np.ndarray], again: Mapping[str, np.ndarray]) -> Difference:
    nothing = np.empty(0, np.float32)
    names = dict.fromkeys([*before, *again])
    pairs = [(before.get(name, nothing), again.get(name, nothing)) for name in names]
    return _difference("gates", pairs)


def _of_maps(
    settings: Settings, before: Sequence[np.ndarray], again: Sequence[np.ndarray]
) -> Iterator[Difference]:
    for number, (asked, first, second) in enumerate(zip(settings.maps, before, again, strict=True)):
        names = settings.classes
        name = names[number] if number < len(names) else f"class {asked.target}"
        yield _difference(f"{asked.method} of {name}", [(first, second)])


def _difference(what: str, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Difference:
    if any(first.shape != second.shape for first, second in pairs):
        return Difference(what, np.inf, _largest([first for first, _ in pairs]), equal=False)
    # By their bits: NaN is the same as NaN, and -0 is not 0.
    equal = all(first.tobytes() == second.tobytes() for first, second in pairs)
    with np.errstate(invalid="ignore"):
        gaps = [np.abs(first.astype(float) - second.astype(float)) for first, second in pairs]
    largest = 0.0 if equal else _largest(gaps, unknown=np.inf)
    return Difference(what, largest, _largest([first for first, _ in pairs]), equal)


def _largest(arrays: Sequence[np.ndarray], *, unknown: float = 0.0) -> float:
    values = [np.abs(array).max() for array in arrays if array.size]
    return float(np.nan_to_num(max(values, default=0.0), nan=unknown))
