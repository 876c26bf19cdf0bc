"""Guided methods' rules for ReLU modules, which others who use the network meanwhile do not meet.

Why: docs/decisions/016-methods-with-rules.md
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from se_viz.attribution.catalogue import Method
from se_viz.attribution.passes.rules import find_relus
from se_viz.gates.hooks import Listener, listening


class Guided(nn.Module):
    """A function of images in whose passes ReLU modules of a network pass back positive values
    only.

    ``open_all``: also where a ReLU was closed, as in Deconvolution; otherwise as in Guided
    Backprop. The network itself runs, and hears of this thread alone. Captum, which would hang
    hooks on it for everybody, finds no module here.
    """

    def __init__(
        self, function: Callable[[Tensor], Tensor], network: nn.Module, *, open_all: bool
    ) -> None:
        super().__init__()
        # In a list: modules that are attributes are children, which Captum would find.
        self._hidden = [function]
        self._rules = _Rules(open_all)
        relus = find_relus(network)
        self._listener = Listener(
            network,
            {},
            take={relu: partial(self._rules.take, relu) for relu in relus},
            give={relu: partial(self._rules.give, relu) for relu in relus},
        )

    @property
    def uses(self) -> Counter[nn.Module]:
        """Return how often each ReLU module ran, in all passes so far."""
        return self._rules.uses

    def forward(self, images: Tensor) -> Tensor:
        """Return what the function returns."""
        with listening(self._listener):
            return self._hidden[0](images)


def guide(row: Method, function: Callable[[Tensor], Tensor], network: nn.Module) -> Guided:
    """Return a function of images, in whose passes the rule of a guided method holds."""
    return Guided(function, network, open_all=row.key == "deconvolution")


class _Use:
    """One use of a ReLU module: what it was given, and what comes back to its output."""

    def __init__(self, features: Tensor, open_all: bool) -> None:
        self.features = features
        self._open_all = open_all
        self._upstream: Tensor | None = None

    def note(self, upstream: Tensor) -> Tensor:
        self._upstream = upstream
        return upstream

    def pass_back(self, gradient: Tensor) -> Tensor:
        return F.relu(self._upstream if self._open_all and self._upstream is not None else gradient)


class _Rules:
    """What is done to each use of a ReLU module on both of its sides."""

    def __init__(self, open_all: bool) -> None:
        self._open_all = open_all
        self._running: dict[nn.Module, _Use] = {}
        self.uses: Counter[nn.Module] = Counter()

    def take(self, relu: nn.ReLU, features: Tensor) -> Tensor:
        self.uses[relu] += 1
        self._running.pop(relu, None)
        # No pixel reaches it, or nobody asks for a gradient.
        if not torch.is_grad_enabled() or not features.requires_grad:
            return features
        use = self._running[relu] = _Use(features, self._open_all)
        if relu.inplace and not self._open_all:
            return _Way.apply(features, use.pass_back, True)
        way = _Way.apply(features, use.pass_back, False)
        # What is overwritten would keep no note of what comes back to it.
        return way.clone() if relu.inplace else way

    def give(self, relu: nn.ReLU, output: Tensor) -> Tensor:
        use = self._running.pop(relu, None)
        if use is None or not self._open_all or not output.requires_grad:
            return output
        noted = _Way.apply(output, use.note, False)
        # The network may read what it lets a ReLU overwrite.
        return use.features.copy_(noted) if relu.inplace else noted


class _Way(torch.autograd.Function):
    """The way into a ReLU or out of it, on which what comes back is changed or noted; others that
    read the same values have ways of their own.
    """

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, change: Callable[[Tensor], Tensor], inplace: bool
    ) -> Tensor:
        """Return the same values: those that a ReLU is about to overwrite, or a view of them."""
        ctx.change = change
        if not inplace:
            return features.view_as(features)
        ctx.mark_dirty(features)
        return features

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        """Return what the change makes of what came back."""
        return ctx.change(upstream[0]), None, None
