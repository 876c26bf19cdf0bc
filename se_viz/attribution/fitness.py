"""What a method is worth on one network: whether it runs, and what is known to be wrong with it there."""

from dataclasses import dataclass

import torch
from torch import Tensor

from se_viz.attribution.baselines import make_baseline
from se_viz.attribution.catalogue import REFUSED, find_method
from se_viz.attribution.copies import copy_unrolled
from se_viz.attribution.methods import Method
from se_viz.attribution.places import NO_STAGE, stage_ends
from se_viz.attribution.rules import Facts, check_rules, trace_rules
from se_viz.attribution.run import attribute_unproven
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
        check_rules(row, twin, noise)
        facts = trace_rules(twin, noise)
    words = _remark_shares(network, row, noise, facts) if row.complete else _remark_guided(facts)
    return f"{_own_modules(facts)} {words}".strip()


def _remark_guided(facts: Facts) -> str:
    if not facts.others:
        return ""
    return (
        f"Only {facts.relus} of its {facts.relus + facts.others.total()} functions with a bend are ReLU modules"
        f"{facts.instead}: for the others it is the plain gradient."
    )


def _remark_shares(network: Network, row: Method, noise: Tensor, facts: Facts) -> str:
    found = attribute_unproven(network, noise, 0, row.key)
    assert found.completeness_error is not None
    assert found.explained is not None
    others = f", as it does with {facts.names}" if facts.others else ""
    pools = (
        " Captum's rule for a max-pool fails right after a ReLU and where windows overlap: with a baseline of more "
        "than one colour, such as a blurred photo, they may miss more."
    )
    return (
        f"It has no rule for the product of gate and feature map, and passes it back by the slope{others}: on a "
        f"picture of noise, its shares miss {found.completeness_error:.2g} of the {abs(found.explained):.2g} logits "
        "that they should add up to. On an image where they miss more than half, there is no map."
        f"{pools if facts.pools else ''} Integrated Gradients needs no rule."
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
