"""What a method is worth on one network: whether it runs, and what is known to be wrong with it there."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from se_viz.attribution.baselines import make_baseline
from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.copies import RULED, Unrolled, copy_unrolled
from se_viz.attribution.run import attribute, stage_ends
from se_viz.errors import AttributionError
from se_viz.networks import Network
from se_viz.runtime import line_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a method can run on a network, and what to know of it there."""

    runs: bool
    """Whether its map would be what the method's name says."""
    words: str
    """Empty, a remark, or why it does not run and what to do instead."""


REFUSED = {
    "lrp": (
        "Layer-wise Relevance Propagation",
        "LRP (Bach et al., PLOS ONE 10, 2015) is not run here: it has no rule for the sigmoid of a gate nor for the "
        "product of gate and feature map, and Captum's leaves its rules on the model, which everybody shares. Choose "
        "Integrated Gradients, whose map sums to the logit's rise without any rule.",
    )
}
"""Methods of Captum that are never run: their titles and why."""

_REMARKS = {
    "feature_permutation": "It exchanges patches between the images of a batch. For one image, this one moved around "
    "lends them.",
}

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
class _Facts:
    """What one traced pass of a copy tells."""

    modules: int
    """ReLU modules."""
    relus: int
    """Uses of them in one pass."""
    others: Counter[str]
    """Functions with a bend that run outside of a module with a rule, by name."""


def judge_method(network: Network, method: str) -> Verdict:
    """Tell what a method is worth on a network; what is in doubt is measured in a few passes of noise.

    The answer is the same for every image, and worth keeping.

    Raises:
        AttributionError: there is no such method.
        BusyError: too many wait for the device.
    """
    if method in REFUSED:
        return Verdict(False, REFUSED[method][1])
    if method not in METHODS:
        raise AttributionError(f"There is no method {method!r}. Choose one of: {', '.join(METHODS)}.")
    row = METHODS[method]
    if row.staged and not stage_ends(network.inspection.sites):
        return Verdict(False, f"No module ends a stage of this network, which {row.title} looks at. Choose Saliency.")
    if not row.copied:
        return Verdict(True, _REMARKS.get(method, ""))
    try:
        return _judge_shares(network, method) if row.complete else _judge_guided(network, method)
    except AttributionError as error:
        return Verdict(False, str(error))


def _judge_guided(network: Network, method: str) -> Verdict:
    facts, title = _trace(network, _noise(network)), METHODS[method].title
    if not facts.relus:
        return Verdict(
            False,
            f"{title} changes how ReLU modules pass gradients back, and this network runs none"
            f"{_instead(facts)}: its map would be the plain gradient. Choose Saliency or Input x Gradient.",
        )
    words = _own_modules(facts)
    if facts.others:
        words += (
            f" Only {facts.relus} of its {facts.relus + facts.others.total()} functions with a bend are ReLU modules"
            f"{_instead(facts)}: for the others it is the plain gradient."
        )
    return Verdict(True, words.strip())


def _judge_shares(network: Network, method: str) -> Verdict:
    noise = _noise(network)
    facts = _trace(network, noise)
    found = attribute(network, noise, 0, method)
    assert found.completeness_error is not None
    assert found.explained is not None
    others = f", as it does with {_names(facts)}" if facts.others else ""
    words = (
        f"{_own_modules(facts)} It has no rule for the product of gate and feature map, and passes it back by the "
        f"slope{others}: on a picture of noise, its shares miss {found.completeness_error:.2g} of the "
        f"{abs(found.explained):.2g} logits that they should add up to. Integrated Gradients needs no rule."
    )
    return Verdict(True, words.strip())


def _own_modules(facts: _Facts) -> str:
    if facts.relus <= facts.modules:
        return ""
    return (
        f"A pass uses {facts.modules} ReLU modules {facts.relus} times. The method needs one for each use and runs on "
        "a copy that has them; its answer is the same, bit for bit."
    )


def _instead(facts: _Facts) -> str:
    return f" ({_names(facts)} instead)" if facts.others else ""


def _names(facts: _Facts) -> str:
    return ", ".join(f"{count} of {name}" for name, count in facts.others.most_common())


def _noise(network: Network) -> Tensor:
    size = network.card.input_size
    return make_baseline(network, torch.zeros(1, 3, size, size, device=network.device), "noise")


def _trace(network: Network, images: Tensor) -> _Facts:
    with line_of(network.device).turn(), torch.no_grad():
        twin = copy_unrolled(network.model, images)
        with _Calls() as calls:
            twin(images)
    uses = {kind: sum(type(use) is kind for one in _stand_ins(twin) for use in one.uses) for kind in RULED}
    for name, kind in (("relu", nn.ReLU), ("sigmoid", nn.Sigmoid)):
        # What a module with a rule called is seen as a call too.
        calls.seen[name] -= uses[kind]
    relus = [one for one in _stand_ins(twin) if any(type(use) is nn.ReLU for use in one.uses)]
    return _Facts(len(relus), uses[nn.ReLU], +calls.seen)


def _stand_ins(model: nn.Module) -> list[Unrolled]:
    return [module for module in model.modules() if isinstance(module, Unrolled)]


class _Calls(TorchFunctionMode):
    """Counts the functions with a bend that this thread calls."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FUNCTIONS:
            self.seen[_FUNCTIONS[func]] += 1
        return func(*args, **(kwargs or {}))
