"""The ReLU modules of a copy, whose derivative guided methods replace, and what bends elsewhere.

Why: docs/decisions/016-rules-run-on-a-copy.md
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from se_viz.attribution.passes.copies import stand_ins
from se_viz.errors import AttributionError

_FUNCTIONS: dict[Any, str] = {
    **dict.fromkeys((F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_), "relu"),
    **dict.fromkeys((F.relu6, F.hardtanh), "relu6"),
    **dict.fromkeys((F.silu, F.mish), "silu"),
    **dict.fromkeys((torch.sigmoid, F.sigmoid, Tensor.sigmoid, Tensor.sigmoid_), "sigmoid"),
    F.hardsigmoid: "hardsigmoid",
    F.hardswish: "hardswish",
    F.gelu: "gelu",
    F.prelu: "prelu",
}
"""Functions with a bend that a pass may call, and what to call them."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one traced pass of a copy tells."""

    modules: int
    """ReLU modules."""
    relus: int
    """Uses of them in one pass."""
    others: Counter[str]
    """Functions with a bend that are no ReLU modules, by name."""

    @property
    def instead(self) -> str:
        """Return in brackets what runs where guided methods change nothing.

        Empty if nothing does.
        """
        names = ", ".join(f"{count} of {name}" for name, count in self.others.most_common())
        return f" ({names} instead)" if names else ""


def check_relus(title: str, twin: nn.Module, images: Tensor) -> None:
    """Refuse a method that replaces the derivative of ReLU modules on a copy, as `copy_unrolled`
    makes it, without any.

    Raises:
        AttributionError: its map would be the plain gradient.
    """
    if any(type(use) is nn.ReLU for use in _uses(twin)):
        return
    raise AttributionError(
        f"{title} changes how ReLU modules pass gradients back, and this network runs "
        f"none{trace_rules(twin, images).instead}: its map would be the plain gradient. Choose "
        "Saliency or Input x Gradient."
    )


def trace_rules(twin: nn.Module, images: Tensor) -> Facts:
    """Run a copy, as `copy_unrolled` makes it, and count its ReLU modules and other functions with
    a bend.
    """
    with torch.no_grad(), _Calls() as calls:
        twin(images)
    uses = Counter(type(use) for use in _uses(twin))
    for name, kind in (("relu", nn.ReLU), ("sigmoid", nn.Sigmoid)):
        # What a module with a rule called is seen as a call too.
        calls.seen[name] -= uses[kind]
    relus = [one for one in stand_ins(twin) if any(type(use) is nn.ReLU for use in one.uses)]
    return Facts(len(relus), uses[nn.ReLU], +calls.seen)


def _uses(model: nn.Module) -> Iterator[nn.Module]:
    return (use for one in stand_ins(model) for use in one.uses)


class _Calls(TorchFunctionMode):
    """Counts the functions with a bend that this thread calls."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FUNCTIONS:
            self.seen[_FUNCTIONS[func]] += 1
        return func(*args, **(kwargs or {}))
