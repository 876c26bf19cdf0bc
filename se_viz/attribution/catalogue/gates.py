"""The attribution methods that explain an answer by the gates of one block, as rows of data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from se_viz.attribution.catalogue.method import Passes

_STEPS = 32
GATE_ROWS = 16
"""Rows of gates in one pass, at most."""
_ON_THE_WAY = 40
"""Steps of a way, about: they are halved where it bends."""


@dataclass(frozen=True, slots=True)
class GateMethod:
    """One method that attributes to the gates of a block.

    It needs nothing that a network with SE blocks lacks.
    """

    key: str
    """Name in calls."""
    title: str
    """Name for people."""
    source: str
    """Where it was published."""
    looks_for: str
    """What one channel's number says, in logits."""
    kind: str
    """What it computes with: one of ``KINDS``."""
    cost: Callable[[int], Passes]
    """From the number of channels to about how many passes it takes."""
    algorithm: str = ""
    """Captum's class for the logit as a function of the gates alone; empty: it follows the image's
    way instead."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of Captum's ``attribute``."""
    from_baseline: bool = False
    """Whether Captum is given the baseline's gates."""


GATE_METHODS = {
    row.key: row
    for row in (
        GateMethod(
            "gradient_x_gate",
            "Gradient x gate",
            "Shrikumar et al., arXiv 1605.01713",
            "How far the logit would fall without the channel, were the network linear.",
            "gradient",
            lambda channels: (2, 1),
            "InputXGradient",
        ),
        GateMethod(
            "ablation",
            "Ablation",
            "Zeiler and Fergus, arXiv 1311.2901",
            "How far the logit falls when this gate alone is 0; later gates react.",
            "channel",
            lambda channels: (channels + 2, 0),
            "FeatureAblation",
            {"perturbations_per_eval": GATE_ROWS},
        ),
        GateMethod(
            "integrated_gradients",
            "Integrated Gradients",
            "Sundararajan et al., arXiv 1703.01365",
            "Its share when the block's gates go from the baseline's to the image's, while the "
            "image stays.",
            "path",
            lambda channels: (_STEPS + 3, _STEPS),
            "IntegratedGradients",
            {"n_steps": _STEPS, "internal_batch_size": GATE_ROWS},
            from_baseline=True,
        ),
        GateMethod(
            "conductance",
            "Conductance",
            "Dhamdhere et al., arXiv 1805.12233",
            "The part of the rise that came through this gate on the path from the baseline to the "
            "image.",
            "path",
            lambda channels: (_ON_THE_WAY, 2 * _ON_THE_WAY),
        ),
        GateMethod(
            "internal_influence",
            "Internal influence",
            "Leino et al., arXiv 1802.03788",
            "The mean slope by this gate on that path, however far the gate moves: logits per unit "
            "of gate.",
            "path",
            lambda channels: (_ON_THE_WAY, 2 * _ON_THE_WAY),
        ),
    )
}
"""Every method at the gates, by key, in the order they are offered."""

NO_GRAD_CAM = (
    "Grad-CAM is not run at gates: it sums over channels, so a single number would be left for all "
    "gates of a block. Choose Gradient x gate, which keeps one for each channel."
)
"""Why a method that people look for is missing here."""
