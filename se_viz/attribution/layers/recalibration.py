"""The same map before and after a block's gates, and the channels that make the difference."""

from dataclasses import dataclass

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.catalogue import LAYER_METHODS
from se_viz.attribution.question import LayerAttribution
from se_viz.errors import AttributionError

COMPARABLE = tuple(key for key, row in LAYER_METHODS.items() if row.additive)
"""Methods whose channels add up to the map on both sides of a gate."""


@dataclass(frozen=True, slots=True)
class Apart:
    """What to know of a method whose maps of U and X~ can only stand beside each other."""

    reason: str
    """One sentence: why there is no difference by channel."""
    same_unit: bool
    """Whether the two maps are in one unit, so that they may share a scale."""


APART = {
    "internal_influence": Apart(
        "There is no difference by channel: the values of Internal Influence are slopes, in logits "
        "per unit of a cell, which do not add up.",
        same_unit=True,
    ),
    "feature_ablation": Apart(
        "There is no difference by channel: Feature Ablation shuts each channel alone, and the "
        "falls of the logit do not add up.",
        # A fall of the logit times an activation: gates that only shrink X~, and change no answer,
        # shrink the map.
        same_unit=False,
    ),
}
"""Every method that is not comparable, by key."""


@dataclass(frozen=True, slots=True)
class Side:
    """One method on one side of a block's gates, as far as the two sides are compared."""

    method: str
    """Key of the method."""
    cells: Float[Tensor, "*sides"]
    """All channels together, signed, in the method's units."""
    channels: Float[Tensor, "channels"]
    """Each channel's part in it, summed over the cells."""


@dataclass(frozen=True, slots=True)
class Recalibration:
    """One method on U and on X~ of the same block."""

    before: Float[Tensor, "*sides"]
    """All channels of U together, signed, in the method's units."""
    after: Float[Tensor, "*sides"]
    """All channels of X~ together, signed, in the same units."""
    channels: pd.DataFrame
    """One row a channel: its gate, its part of both maps summed over the cells, and their
    difference; largest first."""

    @property
    def difference(self) -> Float[Tensor, "*sides"]:
        """Return the map after the gates minus that before them."""
        return self.after - self.before


def sum_up(attribution: LayerAttribution) -> Side:
    """Return the sums of what a method found, over channels and over cells (the mean for plain
    activations).

    Without the ReLU of Grad-CAM, so that channels add up to the difference of two sides.
    """
    count = len(attribution.values) if LAYER_METHODS[attribution.method].collapse == "mean" else 1
    return Side(
        attribution.method,
        attribution.values.sum(0) / count,
        attribution.values.flatten(1).sum(1) / count,
    )


def compare_sides(before: Side, after: Side, gates: Float[Tensor, "channels"]) -> Recalibration:
    """Compare what one method finds on U and on X~ of one use of a block, whose gates are given.

    A change of U changes the gates too; one of X~ comes after them. For a method that goes by the
    gradient the difference is therefore what runs through squeeze and excitation, to first order.

    Raises:
        AttributionError: not the same method, or one whose channels do not add up.
    """
    if before.method != after.method or before.method not in COMPARABLE:
        raise AttributionError(
            f"{LAYER_METHODS[before.method].title} has no parts that add up on both sides of a "
            f"gate. Choose one of: {', '.join(COMPARABLE)}."
        )
    table = pd.DataFrame({"channel": range(len(gates)), "gate": gates.numpy()})
    table["before"] = before.channels.numpy()
    table["after"] = after.channels.numpy()
    difference = after.channels - before.channels
    table["difference"] = difference.numpy()
    # Stable: channels that differ by the same keep their order.
    order = difference.abs().argsort(descending=True, stable=True).numpy()
    return Recalibration(before.cells, after.cells, table.iloc[order].reset_index(drop=True))
