"""How maps of one image are scored: what is chosen before any of it runs."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.question import Target
from se_viz.errors import AttributionError
from se_viz.networks import Network


@dataclass(frozen=True, slots=True)
class Exam:
    """How maps of one image are scored."""

    target: Target
    """What the maps explain."""
    baseline: str = "mean"
    """What takes the place of pixels that go; a key of ``BASELINES``."""
    steps: int = 24
    """Steps of a curve, each with as many pixels."""
    squares: int = 64
    """Squares whose removal infidelity is measured by."""
    repeats: int = 6
    """Draws of each random map."""
    seed: int = 0
    """Seed of ties, squares and random maps."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            AttributionError: one is too small to score anything.
        """
        for name, least in (("steps", 1), ("squares", 2), ("repeats", 2)):
            if getattr(self, name) < least:
                raise AttributionError(
                    f"{getattr(self, name)} {name} are too few to score. Choose {least} at least."
                )

    @property
    def passes(self) -> int:
        """Return how many pictures the curves of one map take."""
        return 2 * (self.steps + 1)

    def read(
        self, logits: Float[Tensor, "batch classes"], network: Network
    ) -> Float[Tensor, "batch"]:
        """Return what curves show: the probability of the class, or the difference of two
        logits.
        """
        return self.target.read(logits if self.compares else network.probabilities(logits))

    @property
    def compares(self) -> bool:
        """Return whether two classes are compared, so that curves are in logits and have no fixed
        range.
        """
        return self.target.against is not None
