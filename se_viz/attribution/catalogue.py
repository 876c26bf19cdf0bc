"""The attribution methods as rows of data."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Method:
    """One attribution method: what it is called, what it promises and how Captum runs it."""

    key: str
    """Name in calls."""
    title: str
    """Name for people."""
    source: str
    """Where it was published."""
    looks_for: str
    """One sentence: what the map shows."""
    algorithm: str
    """Name of Captum's class; it takes the model, and the layer when ``layered``."""
    channels: str
    """How three colour values become one: ``sum``, ``mean`` or ``max`` (of magnitudes)."""
    signed: bool = True
    """Whether the map has negative values."""
    complete: bool = False
    """Whether the theory promises that the map sums to the change of the logit."""
    layered: bool = False
    """Whether it attributes to the output of a stage."""
    piece: str = ""
    """Option that says how many images one pass holds, halved when memory runs out; empty: always one."""
    options: dict[str, Any] = field(default_factory=dict)
    """Arguments of Captum's ``attribute``; callers may override each."""


_WINDOW, _STRIDE = 32, 16

METHODS = {
    method.key: method
    for method in (
        Method(
            "integrated_gradients",
            "Integrated Gradients",
            "Sundararajan et al., arXiv 1703.01365",
            "Each pixel's share of the logit's rise from a mean-coloured image to this one.",
            "IntegratedGradients",
            channels="sum",
            complete=True,
            piece="internal_batch_size",
            options={"baselines": 0.0, "n_steps": 32, "internal_batch_size": 8},
        ),
        Method(
            "saliency",
            "Saliency",
            "Simonyan et al., arXiv 1312.6034",
            "How fast the logit moves when a pixel changes a little, in either direction.",
            "Saliency",
            channels="max",
            signed=False,
        ),
        Method(
            "input_x_gradient",
            "Input x Gradient",
            "Shrikumar et al., arXiv 1605.01713",
            "The gradient times the pixel's distance from the mean colour.",
            "InputXGradient",
            channels="sum",
        ),
        Method(
            "grad_cam",
            "Grad-CAM",
            "Selvaraju et al., arXiv 1610.02391",
            "Where the channels of a stage that raise the logit are active, on that stage's coarse grid.",
            "LayerGradCam",
            channels="sum",
            signed=False,
            layered=True,
            options={"relu_attributions": True},
        ),
        Method(
            "occlusion",
            "Occlusion",
            "Zeiler and Fergus, arXiv 1311.2901",
            f"How far the logit falls when a {_WINDOW}-pixel square is painted in the mean colour, averaged over "
            "the squares that hold the pixel.",
            "Occlusion",
            channels="mean",
            piece="perturbations_per_eval",
            options={
                "baselines": 0.0,
                "sliding_window_shapes": (3, _WINDOW, _WINDOW),
                "strides": (3, _STRIDE, _STRIDE),
                "perturbations_per_eval": 8,
            },
        ),
    )
}
"""Every method, by key, in the order they are offered."""


def collapse(values: Tensor, channels: str) -> Tensor:
    """Turn (1, colours, height, width) into (height, width)."""
    if channels == "max":
        return values[0].abs().amax(0)
    return values[0].sum(0) if channels == "sum" else values[0].mean(0)
