"""The attribution methods that explain an answer by a feature map, as rows of data."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from se_viz.attribution.catalogue.method import Passes


@dataclass(frozen=True, slots=True)
class LayerMethod:
    """One method: what it is called, what it shows, what it costs and how Captum runs it.

    Each of them gives one value to each cell of each channel, and a map of the cells is made of
    these.
    """

    key: str
    """Name in calls."""
    title: str
    """Name for people."""
    source: str
    """Where it was published."""
    looks_for: str
    """One sentence: what the map shows."""
    algorithm: str
    """Name of Captum's class; it takes the model and the layer."""
    cost: Callable[[int, int], Passes]
    """From the number of steps and of channels to the passes that it takes."""
    kind: str = "gradient"
    """What it computes with: one of ``KINDS``."""
    needs: tuple[str, ...] = ()
    """What not every network has: keys of ``NEEDS``."""
    collapse: str = "sum"
    """How channels become one map: their ``sum``, its positive part (``relu``), their ``mean``, or
    the positive part of the sum of activations, each times its value (``weigh``)."""
    additive: bool = True
    """Whether a channel's cells add up to its part of the map, so that channels can be compared by
    their sums."""
    baseline: bool = False
    """Whether it compares with the feature map of a baseline."""
    classless: bool = False
    """Whether it does not depend on what is explained."""
    options: dict[str, Any] = field(default_factory=dict)
    """Arguments of Captum's ``attribute``; callers may override each."""
    piece: str = ""
    """Option that says how many images one pass holds, halved when memory runs out; empty: always
    one."""

    @property
    def single(self) -> bool:
        """Whether all that it asks of the network is one pass of the image, which methods and
        feature maps share.
        """
        return self.cost(2, 2)[0] == 1

    @property
    def signed(self) -> bool:
        """Whether the map has negative values."""
        return self.collapse in ("sum", "mean")


_STEPS = {"n_steps": 32, "internal_batch_size": 8}

LAYER_METHODS = {
    row.key: row
    for row in (
        LayerMethod(
            "grad_cam",
            "Grad-CAM",
            "Selvaraju et al., arXiv 1610.02391",
            "Where the channels that raise the logit are active; each channel is weighed by its "
            "mean gradient.",
            "LayerGradCam",
            lambda steps, channels: (1, 1),
            collapse="relu",
            options={"attr_dim_summation": False},
        ),
        LayerMethod(
            "gradient_x_activation",
            "Gradient x Activation",
            "Shrikumar et al., arXiv 1605.01713",
            "What each cell would add to the logit if the network went on linearly from here.",
            "LayerGradientXActivation",
            lambda steps, channels: (1, 1),
        ),
        LayerMethod(
            "activation",
            "Activation",
            "no attribution: what the layer puts out",
            "The mean over all channels, whatever the class.",
            "LayerActivation",
            lambda steps, channels: (1, 0),
            kind="pass",
            collapse="mean",
            classless=True,
        ),
        LayerMethod(
            "integrated_gradients",
            "Integrated Gradients",
            "Sundararajan et al., arXiv 1703.01365",
            "Each cell's share of the logit's rise while this feature map alone comes up from the "
            "baseline's.",
            "LayerIntegratedGradients",
            lambda steps, channels: (steps + 2, steps),
            kind="path",
            baseline=True,
            options=_STEPS,
            piece="internal_batch_size",
        ),
        LayerMethod(
            "conductance",
            "Conductance",
            "Dhamdhere et al., arXiv 1805.12233",
            "What flows through each cell of the logit's rise while the whole image comes up from "
            "the baseline.",
            "LayerConductance",
            # Pieces of 8 steps each begin where the one before them ended.
            lambda steps, channels: (steps + ceil(steps / 7), steps + ceil(steps / 7)),
            kind="path",
            baseline=True,
            # Its steps have to begin at the baseline and to end at the image, or what lies outside
            # is lost.
            options={**_STEPS, "method": "riemann_trapezoid"},
            piece="internal_batch_size",
        ),
        LayerMethod(
            "internal_influence",
            "Internal Influence",
            "Leino et al., arXiv 1802.03788",
            "Where the channels are active that move the logit, their slopes averaged on the path "
            "from the baseline.",
            "InternalInfluence",
            lambda steps, channels: (steps + 1, steps),
            kind="path",
            collapse="weigh",
            additive=False,
            baseline=True,
            options=_STEPS,
            piece="internal_batch_size",
        ),
        LayerMethod(
            "deep_lift",
            "DeepLift",
            "Shrikumar et al., arXiv 1704.02685",
            "Each cell's share of the logit's rise from the baseline, by the rescale rule.",
            "LayerDeepLift",
            lambda steps, channels: (8, 4),
            kind="rule",
            needs=("differences",),
            baseline=True,
        ),
        LayerMethod(
            "feature_ablation",
            "Feature Ablation",
            "Desai and Ramaswamy, WACV 2020 (Ablation-CAM)",
            "Where the channels are active without which the logit falls: each is shut once.",
            "LayerFeatureAblation",
            lambda steps, channels: (channels + 4, 0),
            kind="channel",
            collapse="weigh",
            additive=False,
            options={"perturbations_per_eval": 16},
            piece="perturbations_per_eval",
        ),
    )
}
"""Every method, by key, in the order they are offered."""
