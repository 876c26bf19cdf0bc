"""What a method is worth on one network: whether it runs, and what is known to be wrong with it there."""

from dataclasses import dataclass

import torch
from torch import Tensor

from se_viz.attribution.baselines import make_baseline
from se_viz.attribution.catalogue import REFUSED, find_method
from se_viz.attribution.copies import copy_unrolled
from se_viz.attribution.methods import Method
from se_viz.attribution.places import NO_STAGE, stage_ends
from se_viz.attribution.rules import Facts, check_relus, trace_rules
from se_viz.attribution.run import ROUNDING, attribute_unproven
from se_viz.errors import AttributionError
from se_viz.networks import Network
from se_viz.runtime import line_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a method can run on a network, and what to know of it there."""

    runs: bool
    """Whether its map would be what the method's name says; if not, `attribute` refuses it in the same words."""
    words: str
    """Empty, a remark, or why it does not run and what to do instead."""


_MISSED = 0.01
"""Share of their sum that shares may miss without a further word."""

_REMARKS = {
    "feature_permutation": "It exchanges patches between the images of a batch. For one image, this one moved around "
    "lends them.",
    "gradient_shap": "Its values add up to the logit's rise only in the mean over many draws. With two dozen samples "
    "they can miss as much as there is to share out, and four times as many halve the error. Integrated Gradients "
    "needs far fewer passes.",
}


def judge_method(network: Network, method: str) -> Verdict:
    """Tell what a method is worth on a network; what is in doubt is measured in a few passes of noise.

    The answer is the same for every image, and worth keeping.

    Raises:
        AttributionError: there is no such method.
        BusyError: too many wait for the device.
    """
    if method in REFUSED:
        return Verdict(False, REFUSED[method][1])
    row = find_method(method)
    if row.staged and not stage_ends(network.inspection.sites):
        return Verdict(False, NO_STAGE)
    if not row.copied:
        return Verdict(True, _REMARKS.get(method, ""))
    try:
        return Verdict(True, _remark(network, row))
    except AttributionError as error:
        return Verdict(False, str(error))


def _remark(network: Network, row: Method) -> str:
    noise = _noise(network)
    with line_of(network.device).turn(), torch.no_grad():
        twin = copy_unrolled(network.model, noise)
        if "relu" in row.needs:
            check_relus(row.title, twin, noise)
        facts = trace_rules(twin, noise)
    words = _remark_shares(network, row, noise) if "differences" in row.needs else _remark_guided(facts)
    return f"{_own_modules(facts)} {words}".strip()


def _remark_guided(facts: Facts) -> str:
    if not facts.others:
        return ""
    return (
        f"Only {facts.relus} of its {facts.relus + facts.others.total()} functions with a bend are ReLU modules"
        f"{facts.instead}: for the others it is the plain gradient."
    )


def _remark_shares(network: Network, row: Method, noise: Tensor) -> str:
    found = attribute_unproven(network, noise, 0, row.key)
    error, explained = found.completeness_error, found.explained
    assert error is not None
    assert explained is not None
    words = (
        "Captum has no rule for the product of gate and feature map. Here each of the two is given its Shapley value: "
        "its own difference from the baseline times the mean of the other."
    )
    if error <= max(ROUNDING, _MISSED * abs(explained)):
        return f"{words} On a picture of noise, the shares add up to the {abs(explained):.2g} logits that they should."
    return (
        f"{words} This network also runs functions that differences cannot be passed back through: on a picture of "
        f"noise, its shares miss {error:.2g} of the {abs(explained):.2g} logits that they should add up to. On an "
        "image where they miss more than half, there is no map. Integrated Gradients needs no rule."
    )


def _own_modules(facts: Facts) -> str:
    if facts.relus <= facts.modules:
        return ""
    return (
        f"A pass uses {facts.modules} ReLU modules {facts.relus} times. The method needs one for each use and runs on "
        "a copy that has them; its answer is the same, bit for bit."
    )


def _noise(network: Network) -> Tensor:
    size = network.card.input_size
    return make_baseline(network, torch.zeros(1, 3, size, size, device=network.device), "noise")
