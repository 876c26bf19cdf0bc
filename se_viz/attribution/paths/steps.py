"""Steps on the straight way from a baseline to an image: short where the logit bends, and each
with its own error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import nlargest
from itertools import pairwise
from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor

Slopes: TypeAlias = Mapping[str, Tensor]
"""For the name of a use of a block one value a channel, float64 on the CPU."""


@dataclass(frozen=True, slots=True)
class Way:
    """Derivatives at one point of the way while one set of gates is held."""

    map: Float[Tensor, "*sides"]
    """Derivative along the way by each pixel, the held gates not moving; float32 on the CPU."""
    speed: float
    """Its sum."""
    slopes: Slopes
    """Derivative by each held gate."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one forward pass and the ways back from it tell of one point of the way."""

    place: float
    """0 at the baseline, 1 at the image."""
    value: float
    """What is explained."""
    gates: Slopes
    """Every gate."""
    ways: Mapping[str, Way]
    """Derivatives for each set of held gates."""


@dataclass(frozen=True)
class Step:
    """From one point to the next, by the trapezoidal rule."""

    left: Point
    right: Point

    @property
    def width(self) -> float:
        """Return its share of the way."""
        return self.right.place - self.left.place

    def bypass(self, name: str) -> float:
        """Return what came past the gates of a set."""
        return self.width * (self.left.ways[name].speed + self.right.ways[name].speed) / 2

    def map(self, name: str) -> Tensor:
        """Return where that came from."""
        return self.width / 2 * (self.left.ways[name].map + self.right.ways[name].map)

    def through(self, name: str) -> dict[str, Tensor]:
        """Return what came through each gate of a set: how far it moved, times the mean slope of
        both ends.
        """
        return {
            block: slope * (self.right.gates[block] - self.left.gates[block])
            for block, slope in self.slopes(name).items()
        }

    def slopes(self, name: str) -> dict[str, Tensor]:
        """Return the mean of both ends' derivatives by each gate of a set."""
        start = self.left.ways[name].slopes
        end = self.right.ways[name].slopes
        return {block: (start[block] + end[block]) / 2 for block in start}

    @cached_property
    def sizes(self) -> dict[str, tuple[float, float]]:
        """Return bypass and the sum of what came through, for each set."""
        sizes = {}
        for name in self.left.ways:
            through = sum((values.sum().item() for values in self.through(name).values()), 0.0)
            sizes[name] = (self.bypass(name), through)
        return sizes

    @cached_property
    def defect(self) -> float:
        """Return how far the parts are from the logit's own change, which is known.

        Of the set where that is worst.
        """
        rise = self.right.value - self.left.value
        return max(abs(sum(parts) - rise) for parts in self.sizes.values())


Evaluate: TypeAlias = Callable[[Sequence[float]], list[Point]]
"""Returns the points at some places of the way."""


def walk(evaluate: Evaluate, places: Sequence[float]) -> list[Step]:
    """Return the steps between given places."""
    return [Step(*pair) for pair in pairwise(evaluate(places))]


def refine(evaluate: Evaluate, steps: list[Step], number: int) -> list[Step]:
    """Halve those steps whose parts are furthest from the change of the logit, for the set where
    that is worst.
    """
    worst = nlargest(number, steps, key=lambda step: step.defect)
    # In one call: points that are asked for together share a pass.
    middles = evaluate([(step.left.place + step.right.place) / 2 for step in worst])
    halves = {step.left.place: middle for step, middle in zip(worst, middles, strict=True)}
    shorter: list[Step] = []
    for step in steps:
        shorter.extend(_halve(step, halves.get(step.left.place)))
    return shorter


def sum_up(steps: Sequence[Step], name: str) -> tuple[float, float, float]:
    """Return what came past the gates of a set, what came through them, and the error of both
    together.
    """
    bypass = sum(step.sizes[name][0] for step in steps)
    through = sum(step.sizes[name][1] for step in steps)
    rise = steps[-1].right.value - steps[0].left.value
    return bypass, through, bypass + through - rise


def halve_steps(steps: Sequence[Step]) -> list[Step]:
    """Return half as many steps: two and two as one, and what is left over as it is."""
    pairs = zip(steps[::2], steps[1::2], strict=False)
    rest = steps[len(steps) // 2 * 2 :]
    return [*(Step(first.left, second.right) for first, second in pairs), *rest]


def worst_error(steps: Sequence[Step]) -> float:
    """Return the greatest error of any set, as a share of the most that moves, by both ways, for
    any set.
    """
    sums = [sum_up(steps, name) for name in steps[0].left.ways]
    # Without signs: two large parts that cancel are still known no better than their steps allow.
    size = max(abs(bypass) + abs(through) for bypass, through, _ in sums)
    return max(abs(error) for *_, error in sums) / size if size else 0.0


def _halve(step: Step, middle: Point | None) -> tuple[Step, ...]:
    return (step,) if middle is None else (Step(step.left, middle), Step(middle, step.right))
