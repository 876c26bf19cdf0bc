"""Rules in place of derivatives: which modules of a network a method can set them for, and what runs without one."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from se_viz.attribution.copies import RULED, Unrolled
from se_viz.attribution.methods import Method
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
    pools: bool
    """Whether one of these is a max-pool."""
    others: Counter[str]
    """Functions with a bend that run outside of a module with a rule, by name."""

    @property
    def instead(self) -> str:
        """Return in brackets what runs where no rule can be set; empty if nothing does."""
        return f" ({self.names} instead)" if self.others else ""

    @property
    def names(self) -> str:
        """Return how many of which functions run where no rule can be set."""
        return ", ".join(f"{count} of {name}" for name, count in self.others.most_common())


def check_rules(row: Method, twin: nn.Module, images: Tensor) -> None:
    """Refuse a method on a copy, as `copy_unrolled` makes it, that holds nothing to set the method's rules for.

    Raises:
        AttributionError: its map would be another method's.
    """
    if not any(type(use) in (RULED if row.complete else (nn.ReLU,)) for use in _uses(twin)):
        raise AttributionError(_refuse(row, trace_rules(twin, images)))


def trace_rules(twin: nn.Module, images: Tensor) -> Facts:
    """Run a copy, as `copy_unrolled` makes it, and count what has a rule in it and what has none."""
    with torch.no_grad(), _Calls() as calls:
        twin(images)
    uses = Counter(type(use) for use in _uses(twin))
    for name, kind in (("relu", nn.ReLU), ("sigmoid", nn.Sigmoid)):
        # What a module with a rule called is seen as a call too.
        calls.seen[name] -= uses[kind]
    relus = [one for one in _stand_ins(twin) if any(type(use) is nn.ReLU for use in one.uses)]
    pools = any(uses[kind] for kind in (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d))
    return Facts(len(relus), uses[nn.ReLU], pools, +calls.seen)


def _refuse(row: Method, facts: Facts) -> str:
    if row.complete:
        return (
            f"{row.title} passes differences back through modules such as ReLU or Sigmoid, and this network runs none"
            f"{facts.instead}: its map would be the plain gradient times the difference from the baseline. Choose "
            "Integrated Gradients."
        )
    return (
        f"{row.title} changes how ReLU modules pass gradients back, and this network runs none{facts.instead}: its "
        "map would be the plain gradient. Choose Saliency or Input x Gradient."
    )


def _stand_ins(model: nn.Module) -> list[Unrolled]:
    return [module for module in model.modules() if isinstance(module, Unrolled)]


def _uses(model: nn.Module) -> Iterator[nn.Module]:
    return (use for one in _stand_ins(model) for use in one.uses)


class _Calls(TorchFunctionMode):
    """Counts the functions with a bend that this thread calls."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FUNCTIONS:
            self.seen[_FUNCTIONS[func]] += 1
        return func(*args, **(kwargs or {}))
