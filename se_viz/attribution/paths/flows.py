"""What a trace leaves behind: how much of a logit's rise came through gates, and how much past
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.question import Target
from se_viz.drawing import draw_html

TOLERANCE = 0.01
"""Error at which a trace ends, as a share of the most that moves."""


@dataclass(frozen=True, slots=True)
class Flow:
    """The rise of a logit in two parts, for one set of gates that were held as inputs."""

    bypass: float
    """What came past the gates of the set: by pixels alone, these gates not moving. In logits."""
    through: Mapping[str, Float[Tensor, "..."]]
    """What came through the gates of each block of the set, (channels,) for its name; float32 on
    the CPU, in logits."""
    map: Float[Tensor, "*sides"]
    """Where in the image the bypass came from, one value a pixel; sums to ``bypass``; float32 on
    the CPU."""
    mean_slope: Mapping[str, Float[Tensor, "..."]]
    """Mean derivative of the logit by each gate along the path, (channels,) for each block's
    name."""
    error: float
    """``bypass`` plus all of ``through`` minus the rise: what the finite number of steps leaves.
    In logits."""
    doubt: float = 0.0
    """About how far each of the two parts may be off by itself, in logits: errors of both may hide
    each other in ``error``, so that half as many steps are compared with all of them."""

    @property
    def carried(self) -> float:
        """Return what came through all gates of the set."""
        return sum((values.double().sum().item() for values in self.through.values()), 0.0)

    @property
    def size(self) -> float:
        """Return the two parts without their signs, added: what moved at all."""
        return abs(self.bypass) + abs(self.carried)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return draw_html(self)


@dataclass(frozen=True, slots=True)
class Trace:
    """How one logit rises on the straight way from a baseline to an image, split at several sets
    of gates.
    """

    target: Target
    """What rises."""
    before: float
    """Its value for the baseline."""
    after: float
    """Its value for the image."""
    flows: Mapping[str, Flow]
    """The parts for each set of gates, by its name."""
    map: Float[Tensor, "*sides"]
    """Integrated gradients with every gate live, over the same steps; one value a pixel, float32
    on the CPU."""
    error: float
    """Sum of that map minus the rise, in logits."""
    steps: int
    """Number of steps on the way; where the logit bends most they are shortest."""
    seconds: float
    """Run time, without waiting."""

    @property
    def rise(self) -> float:
        """Return the logit of the image minus that of the baseline."""
        return self.after - self.before

    @property
    def miss(self) -> float:
        """Return what the parts of a set miss the rise by, in logits, of the set where that is
        most.
        """
        errors = [self.error, *(flow.error for flow in self.flows.values())]
        return max(abs(error) for error in errors)

    @property
    def miss_share(self) -> float:
        """Return the same as a share of the most that moves by both ways, 0 to 1.

        0 where nothing moves.
        """
        # Rise plus error is the sum of the whole map: with every gate live it is all bypass.
        sizes = [abs(self.rise + self.error), *(flow.size for flow in self.flows.values())]
        size = max(sizes)
        return self.miss / size if size else 0.0

    def gate_map(self, name: str) -> Float[Tensor, "*sides"]:
        """Return what pixels did by way of the gates of one set: the whole map minus what bypassed
        them.
        """
        return self.map - self.flows[name].map

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return draw_html(self)
