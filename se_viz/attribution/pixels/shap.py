"""Captum's methods of the Shapley kind that draw in another way than Captum's own."""

from collections.abc import Callable, Generator
from typing import Any, no_type_check

import captum.attr
import numpy as np
import torch
from captum.attr import NoiseTunnel
from captum.attr._core.gradient_shap import InputBaselineXGradient
from captum.log.dummy_log import log_usage
from torch import Tensor

_PLACES = 1 << 20
_GOLDEN = (5**0.5 - 1) / 2


class GradientShap:
    """Captum's ``GradientShap``, to the bit what it gives for one image after
    ``numpy.random.seed``.

    It draws baselines and places by itself: Captum asks NumPy's generator, which all threads share.
    """

    def __init__(self, forward: Callable[[Tensor], Tensor]) -> None:
        self._forward = forward

    def attribute(
        self,
        inputs: Tensor,
        *,
        baselines: Tensor,
        seed: int,
        n_samples: int = 5,
        stdevs: float = 0.0,
        target: int,
    ) -> Tensor:
        """Return the mean over ``n_samples`` places, each on the way from a baseline drawn to the
        image.
        """
        draws = np.random.RandomState(seed)
        starts = baselines[draws.choice(len(baselines), n_samples)]
        places = torch.from_numpy(draws.uniform(size=n_samples)).to(inputs)
        shares = places.view(-1, *[1] * (inputs.ndim - 1))
        tunnel: Any = NoiseTunnel(_Ways(self._forward, starts, shares))
        return tunnel.attribute(
            inputs, "smoothgrad", nt_samples=n_samples, stdevs=stdevs, target=target
        )


class _Ways(InputBaselineXGradient):
    """The gradient at one place of each way, times the whole way."""

    def __init__(self, forward: Callable[[Tensor], Tensor], starts: Tensor, shares: Tensor) -> None:
        super().__init__(forward)
        self._starts = starts
        self._shares = shares

    # The tunnel asks for what this decorator wraps.
    @log_usage()
    def attribute(self, inputs: Tensor, target: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return one map for each pair of image and baseline."""
        places = (self._shares * inputs + (1 - self._shares) * self._starts).requires_grad_()
        return (inputs - self._starts) * self.gradient_func(self.forward_func, (places,), target)[0]


class PairedKernelShap(captum.attr.KernelShap):
    """Captum's ``KernelShap`` on sets of patches that come in pairs, each set followed by what it
    leaves out.

    With pairs, whatever acts on an even number of patches together cancels (Covert and Lee, arXiv
    2012.01536, section 4.2), and sizes that are spread evenly over their distribution leave nothing
    of theirs to chance. The expected answer is the same, the Shapley values, at far less spread
    between seeds.
    """

    # Captum asks whether this is a generator's function, which the wrapper that checks types in
    # tests is not.
    @no_type_check
    def kernel_shap_perturb_generator(
        self, original_inp: Any, **kwargs: Any
    ) -> Generator[Tensor, None, None]:
        """Yield all patches, none, and then pairs of sets, (1, patches) of 0 and 1 each."""
        device = original_inp.device
        patches = kwargs["num_interp_features"]
        # Captum's own distribution of sizes: each set is as likely as its weight in the regression.
        shares = kwargs["num_select_distribution"].probs.cumsum(0)
        yield torch.ones(1, patches, dtype=torch.long, device=device)
        yield torch.zeros(1, patches, dtype=torch.long, device=device)
        place = torch.randint(_PLACES, ()).item() / _PLACES
        while True:
            size = min(int(torch.searchsorted(shares, place, right=True)), patches - 1)
            coalition = torch.zeros(1, patches, dtype=torch.long)
            coalition[0, torch.randperm(patches)[:size]] = 1
            yield coalition.to(device)
            yield 1 - coalition.to(device)
            # Steps of the golden ratio fill an interval evenly, however many there are.
            place = (place + _GOLDEN) % 1
