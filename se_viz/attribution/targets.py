"""What is explained: the logit of one class, or how far it stands above that of another."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Target:
    """One number of a network's answer."""

    index: int
    """Index of the class."""
    against: int | None = None
    """Index of the class whose logit is subtracted, as in *why this and not that*; None: nothing is."""

    def read(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch"]:
        """Return one number an image."""
        chosen = logits[:, self.index]
        return chosen if self.against is None else chosen - logits[:, self.against]
