"""The ReLU modules of a network, whose derivative guided methods replace, and what bends elsewhere.

Why: docs/decisions/016-methods-with-rules.md
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from se_viz.errors import AttributionError
from se_viz.gates.hooks import Listener, listening

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
    """What one traced pass of a network tells."""

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


def check_relus(title: str, model: nn.Module, images: Tensor) -> None:
    """Refuse a method that replaces the derivative of ReLU modules on a network without any.

    Raises:
        AttributionError: its map would be the plain gradient.
    """
    if not find_relus(model):
        refuse_plain(title, model, images)


def refuse_plain(title: str, model: nn.Module, images: Tensor) -> NoReturn:
    """Refuse a method that replaces the derivative of ReLU modules where none runs.

    Raises:
        AttributionError: its map would be the plain gradient.
    """
    raise AttributionError(
        f"{title} changes how ReLU modules pass gradients back, and this network runs "
        f"none{trace_rules(model, images).instead}: its map would be the plain gradient. Choose "
        "Saliency or Input x Gradient."
    )


def find_relus(model: nn.Module) -> list[nn.ReLU]:
    """Return the modules whose derivative guided methods replace."""
    return [module for module in model.modules() if isinstance(module, nn.ReLU)]


def trace_rules(model: nn.Module, images: Tensor) -> Facts:
    """Run a network, and count its ReLU modules and other functions with a bend."""
    uses: Counter[nn.Module] = Counter()

    def note(module: nn.Module, output: Tensor) -> Tensor:
        uses[module] += 1
        return output

    kinds = {nn.ReLU: "relu", nn.Sigmoid: "sigmoid"}
    counted = [module for module in model.modules() if isinstance(module, tuple(kinds))]
    give = {module: partial(note, module) for module in counted}
    with torch.no_grad(), listening(Listener(model, {}, give=give)), _Calls() as calls:
        model(images)
    for kind, name in kinds.items():
        # What a module with a rule called is seen as a call too.
        calls.seen[name] -= sum(uses[module] for module in uses if isinstance(module, kind))
    relus = [uses[module] for module in uses if isinstance(module, nn.ReLU)]
    return Facts(len(relus), sum(relus), +calls.seen)


class _Calls(TorchFunctionMode):
    """Counts the functions with a bend that this thread calls."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FUNCTIONS:
            self.seen[_FUNCTIONS[func]] += 1
        return func(*args, **(kwargs or {}))
