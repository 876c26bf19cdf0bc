"""DeepLift at one feature map: on a private copy, and only where its shares add up."""

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from se_viz.attribution.passes import Differences, copy_unrolled, load_captum
from se_viz.errors import AttributionError
from se_viz.gates.taps import Tapped

_SLACK = 1e-3
_ROUNDED = 64
"""Roundings of the answer that a pass may add up: they are no share's fault where the answer
hardly changes."""


class _Tail(nn.Module):
    """The rest of a network as a function of one feature map.

    All that goes around it is held as for one image.
    """

    def __init__(self, tapped: Tapped, inputs: Tensor) -> None:
        super().__init__()
        self.tapped = tapped
        self._inputs = inputs

    def forward(self, features: Tensor) -> Tensor:
        """Return what is read from the answer with these values at the spot."""
        self.tapped.taps[0] = _Replaced(features)
        return self.tapped(self._inputs.expand(len(features), *self._inputs.shape[1:]))


class _Replaced(nn.Module):
    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self._features = features

    def forward(self, _: Tensor) -> Tensor:
        return self._features


def lift(tapped: Tapped, inputs: Tensor, settings: dict[str, Any]) -> Tensor:
    """Return DeepLift's values at the one spot of a network, (1, channels, height, width).

    Each use of a function has a module of its own in the copy that this runs on, and products have
    a rule (`Differences`). Whether the rules fit the rest of the network is tried out: all that
    bypasses the feature map held, its shares must add up to what the answer changes from the
    baseline's feature map to the image's.

    Raises:
        AttributionError: they do not.
    """
    private = Tapped(copy_unrolled(tapped.model, inputs), tapped.spots, tapped.read)
    with Differences(), warnings.catch_warnings():
        # That hooks are set, for the copy: nobody else sees them.
        warnings.filterwarnings("ignore", message=".*hooks", category=UserWarning)
        try:
            layer_deep_lift = load_captum().LayerDeepLift(private, private.taps[0])
            values = layer_deep_lift.attribute(inputs.requires_grad_(), **settings)
            relative_error = _relative_error(private, inputs, settings["baselines"])
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise AttributionError(
                f"DeepLift cannot run here: {error} Choose Integrated Gradients instead."
            ) from error
    if relative_error > _SLACK:
        raise AttributionError(
            f"DeepLift's shares miss what the answer changes by {relative_error:.1%} of their size "
            "here: this network runs functions that differences cannot be passed back through. "
            "Choose Integrated Gradients, which needs no rules."
        )
    return values


def _relative_error(private: Tapped, inputs: Tensor, baseline: Tensor) -> float:
    captum = load_captum()
    activation = captum.LayerActivation(private, private.taps[0])
    after = activation.attribute(inputs)
    before = activation.attribute(baseline)
    rest = _Tail(private, inputs)
    limits = torch.finfo(inputs.dtype)
    shares = captum.DeepLift(rest).attribute(after.clone().requires_grad_(), before)
    with torch.no_grad():
        end = rest(after)
        start = rest(before)
    rounding = _ROUNDED * limits.eps * (end.abs() + start.abs())
    error = (shares.sum() - (end - start)).abs() - rounding
    return (error / shares.abs().sum().clamp_min(limits.tiny)).item()
