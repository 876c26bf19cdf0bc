"""The attribution methods as rows of data.

Why: docs/decisions/015-methods-are-rows.md
"""

from collections.abc import Iterator

from se_viz.attribution.catalogue.method import Method
from se_viz.attribution.catalogue.perturbing import SHAP, TOGETHER, list_perturbing
from se_viz.errors import AttributionError

__all__ = ["COMMON", "METHODS", "REFUSED", "Method", "find_method"]


_GRADIENTS = (
    Method(
        "integrated_gradients",
        "Integrated Gradients",
        "Sundararajan et al., arXiv 1703.01365",
        "Each pixel's share of the logit's rise from the baseline to this image.",
        "IntegratedGradients",
        channels="sum",
        kind="path",
        complete=True,
        baseline=True,
        piece="internal_batch_size",
        repeats=("n_steps",),
        options={"n_steps": 32, "internal_batch_size": TOGETHER},
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
        "Where the channels of a stage that raise the logit are active, on that stage's coarse "
        "grid.",
        "LayerGradCam",
        channels="sum",
        kind="layer",
        signed=False,
        needs=("stage",),
        options={"relu_attributions": True},
    ),
    Method(
        "gradient_shap",
        "GradientShap",
        SHAP,
        "Like Integrated Gradients, at random places on the ways from random pictures near the "
        "baseline.",
        "GradientShap",
        channels="sum",
        kind="path",
        complete=True,
        baseline=True,
        repeats=("n_samples",),
        options={"n_samples": 24, "draws": 8, "seed": 0},
    ),
)


_SMOOTHING = (
    (
        "smoothgrad",
        "SmoothGrad",
        "Smilkov et al., arXiv 1706.03825",
        "The gradient, averaged with its sign over copies of the image with a little noise: "
        "what points now up, now down cancels; its size is shown.",
    ),
    (
        "smoothgrad_sq",
        "SmoothGrad-Sq",
        "Hooker et al., arXiv 1806.10758",
        "The square of the gradient, averaged over copies of the image with a little noise.",
    ),
    (
        "vargrad",
        "VarGrad",
        "Adebayo et al., arXiv 1810.03307",
        "How much the gradient, with its sign, varies over copies of the image with a little "
        "noise.",
    ),
)
"""Methods that average over noisy copies: key, title, source, and what to look for."""


def _smoothed() -> Iterator[Method]:
    for key, title, source, looks_for in _SMOOTHING:
        yield Method(
            key,
            title,
            source,
            looks_for,
            "NoiseTunnel",
            channels="max",
            kind="smooth",
            signed=False,
            piece="nt_samples_batch_size",
            repeats=("nt_samples", "n_steps"),
            options={
                "over": "saliency",
                "nt_type": key,
                "nt_samples": 16,
                "nt_samples_batch_size": TOGETHER,
                "noise": 0.15,
                "seed": 0,
            },
        )


_RULES = (
    Method(
        "deep_lift",
        "DeepLift",
        "Shrikumar et al., arXiv 1704.02685",
        "Each pixel's share of the logit's rise from the baseline, passed back by differences "
        "instead of slopes.",
        "DeepLift",
        channels="sum",
        kind="rule",
        needs=("differences",),
        complete=True,
        baseline=True,
    ),
    Method(
        "deep_lift_shap",
        "DeepLiftShap",
        SHAP,
        "DeepLift, averaged over random pictures near the baseline.",
        "DeepLiftShap",
        channels="sum",
        kind="rule",
        needs=("differences",),
        complete=True,
        baseline=True,
        repeats=("draws",),
        options={"draws": 4, "seed": 0},
    ),
    Method(
        "guided_backprop",
        "Guided Backprop",
        "Springenberg et al., arXiv 1412.6806",
        "The gradient, but each ReLU passes back positive values only: edges and texture, hardly "
        "the class.",
        "GuidedBackprop",
        channels="sum",
        kind="rule",
        needs=("relu",),
    ),
    Method(
        "deconvolution",
        "Deconvolution",
        "Zeiler and Fergus, arXiv 1311.2901",
        "The gradient, but each ReLU passes back all positive values, also where it was closed.",
        "Deconvolution",
        channels="sum",
        kind="rule",
        needs=("relu",),
    ),
    Method(
        "guided_grad_cam",
        "Guided Grad-CAM",
        "Selvaraju et al., arXiv 1610.02391",
        "Guided Backprop where Grad-CAM of a stage is positive.",
        "GuidedGradCam",
        channels="sum",
        kind="rule",
        needs=("stage", "relu"),
    ),
)

METHODS = {
    method.key: method for method in (*_GRADIENTS, *_smoothed(), *_RULES, *list_perturbing())
}
"""Every method, by key, in the order they are offered."""

COMMON = ("grad_cam", "saliency", "input_x_gradient", "integrated_gradients", "occlusion")
"""The methods that are offered where there is room for few; the first shows a place, and takes one
pass."""

REFUSED = {
    "lrp": (
        "Layer-wise Relevance Propagation",
        "LRP (Bach et al., PLOS ONE 10, 2015) is not run here: it has no rule for the sigmoid of a "
        "gate nor for the product of gate and feature map, and Captum's leaves its rules on the "
        "model, which everybody shares. Choose Integrated Gradients, whose map sums to the logit's "
        "rise without any rule.",
    )
}
"""Methods of Captum that are never run: their titles and why."""


def find_method(key: str) -> Method:
    """Return a method.

    Raises:
        AttributionError: there is none of this name, or it is never run.
    """
    if key in REFUSED:
        raise AttributionError(REFUSED[key][1])
    if key not in METHODS:
        raise AttributionError(f"There is no method {key!r}. Choose one of: {', '.join(METHODS)}.")
    return METHODS[key]
