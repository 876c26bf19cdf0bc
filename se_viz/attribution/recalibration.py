"""The same map before and after a block's gates, and the channels that make the difference."""

from dataclasses import dataclass

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.layer_catalogue import LAYER_METHODS
from se_viz.attribution.layers import LayerAttribution
from se_viz.errors import AttributionError

COMPARABLE = tuple(key for key, row in LAYER_METHODS.items() if row.additive)
"""Methods whose channels add up to the map on both sides of a gate."""


@dataclass(frozen=True, slots=True)
class Recalibration:
    """One method on U and on X~ of the same block."""

    before: Float[Tensor, "height width"]
    """All channels of U together, signed, in the method's units."""
    after: Float[Tensor, "height width"]
    """All channels of X~ together, signed, in the same units."""
    channels: pd.DataFrame
    """One row a channel: its gate, its part of both maps summed over the cells, and their difference; largest first."""

    @property
    def difference(self) -> Float[Tensor, "height width"]:
        """Return the map after the gates minus that before them."""
        return self.after - self.before


def compare_sides(before: LayerAttribution, after: LayerAttribution, gates: Float[Tensor, "channels"]) -> Recalibration:
    """Compare what one method finds on U and on X~ of one use of a block, whose gates are given.

    Maps are the sum over channels (the mean for plain activations), without the ReLU of Grad-CAM, so that channels
    add up to the difference. A change of U changes the gates too; one of X~ comes after them. For a method that goes
    by the gradient the difference is therefore what runs through squeeze and excitation, to first order.

    Raises:
        AttributionError: not the same method, or one whose channels do not add up.
    """
    row = LAYER_METHODS[before.method]
    if before.method != after.method or before.method not in COMPARABLE:
        raise AttributionError(
            f"{row.title} has no parts that add up on both sides of a gate. Choose one of: {', '.join(COMPARABLE)}."
        )
    count = len(gates) if row.collapse == "mean" else 1
    parts = [side.values.sum((1, 2)) / count for side in (before, after)]
    table = pd.DataFrame({"channel": range(len(gates)), "gate": gates.numpy()})
    table["before"], table["after"] = (part.numpy() for part in parts)
    table["difference"] = (parts[1] - parts[0]).numpy()
    order = (parts[1] - parts[0]).abs().argsort(descending=True, stable=True).numpy()
    first, second = (side.values.sum(0) / count for side in (before, after))
    return Recalibration(first, second, table.iloc[order].reset_index(drop=True))
