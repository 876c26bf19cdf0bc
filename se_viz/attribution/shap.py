"""GradientShap that draws baselines and places by itself: Captum asks NumPy's generator, which all threads share."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from captum.attr import NoiseTunnel
from captum.attr._core.gradient_shap import InputBaselineXGradient
from captum.log.dummy_log import log_usage
from torch import Tensor


class GradientShap:
    """Captum's ``GradientShap``, to the bit what it gives for one image after ``numpy.random.seed``."""

    def __init__(self, forward: Callable[[Tensor], Tensor]) -> None:
        self._forward = forward

    def attribute(
        self, inputs: Tensor, *, baselines: Tensor, seed: int, n_samples: int = 5, stdevs: float = 0.0, target: int
    ) -> Tensor:
        """Return the mean over ``n_samples`` places, each on the way from a baseline drawn to the image."""
        draws = np.random.RandomState(seed)
        starts = baselines[draws.choice(len(baselines), n_samples)]
        shares = torch.from_numpy(draws.uniform(size=n_samples)).to(inputs).view(-1, 1, 1, 1)
        tunnel: Any = NoiseTunnel(_Ways(self._forward, starts, shares))
        return tunnel.attribute(inputs, "smoothgrad", nt_samples=n_samples, stdevs=stdevs, target=target)


class _Ways(InputBaselineXGradient):
    """The gradient at one place of each way, times the whole way."""

    def __init__(self, forward: Callable[[Tensor], Tensor], starts: Tensor, shares: Tensor) -> None:
        super().__init__(forward)
        self._starts, self._shares = starts, shares

    # The tunnel asks for what this decorator wraps.
    @log_usage()
    def attribute(self, inputs: Tensor, target: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return one map for each pair of image and baseline."""
        places = (self._shares * inputs + (1 - self._shares) * self._starts).requires_grad_()
        return (inputs - self._starts) * self.gradient_func(self.forward_func, (places,), target)[0]
