"""What a method is worth on one network: whether it runs, and what is known to be wrong with it
there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from se_viz.attribution.catalogue import REFUSED, Method, find_method
from se_viz.attribution.passes import Facts, refuse_plain, trace_rules
from se_viz.attribution.pixels.run import ROUNDING, attribute_unproven
from se_viz.attribution.question import make_baseline, say_no_stage, stage_ends
from se_viz.devices import line_of
from se_viz.errors import AttributionError, TooLittleMemoryError
from se_viz.networks import Network


@dataclass(frozen=True, slots=True)
class Fitness:
    """Whether a method can run on a network, and what to know of it there."""

    runs: bool
    """Whether its map would be what the method's name says; if not, `attribute` refuses it in the
    same words."""
    words: str
    """Empty, a remark, or why it does not run and what to do instead."""


_MISSED = 0.01
"""Share of their sum that shares may miss without a further word."""

_REMARKS = {
    "feature_permutation": "Patches are exchanged between the images of a batch; for one image, "
    "with the same image "
    "moved around.",
    "gradient_shap": "Values sum to the logit's rise only in the mean over many draws: two dozen "
    "samples can miss all "
    "of the rise, and four times as many halve the error. Integrated Gradients needs far fewer "
    "passes.",
}


def judge_method(network: Network, method: str) -> Fitness:
    """Tell what a method is worth on a network.

    What is in doubt is measured in a few passes of noise.

    The answer is the same for every image, and worth keeping.

    Raises:
        AttributionError: there is no such method.
        BusyError: too many wait for the device.
    """
    if method in REFUSED:
        return Fitness(False, REFUSED[method][1])
    row = find_method(method)
    sites = network.inspection.sites
    if row.staged and not stage_ends(sites):
        return Fitness(False, say_no_stage(sites))
    if row.kind != "rule":
        return Fitness(True, _REMARKS.get(method, ""))
    try:
        return Fitness(True, _remark(network, row))
    except (AttributionError, TooLittleMemoryError) as error:
        return Fitness(False, str(error))


def _remark(network: Network, row: Method) -> str:
    noise = _noise(network)
    with line_of(network.device).turn(), torch.no_grad():
        facts = trace_rules(network.model, noise)
        if row.guided and not facts.relus:
            refuse_plain(row.title, network.model, noise)
    # Outside the turn: a method takes one of its own.
    if row.guided:
        return _remark_guided(facts)
    return f"{_remark_shares(network, row, noise)} {_own_modules(facts)}".strip()


def _remark_guided(facts: Facts) -> str:
    if not facts.others:
        return ""
    return (
        f"Only {facts.relus} of {facts.relus + facts.others.total()} nonlinearities are `nn.ReLU` "
        f"modules{facts.instead}; elsewhere this equals the plain gradient."
    )


def _remark_shares(network: Network, row: Method, noise: Tensor) -> str:
    attribution = attribute_unproven(network, noise, 0, row.key)
    error = attribution.completeness_error
    explained = attribution.explained
    assert error is not None
    assert explained is not None
    rule = (
        "Captum has no rule for the product of gate and feature map: here each of the two gets its "
        "Shapley value, its own difference from the baseline times the mean of the other."
    )
    if error <= max(ROUNDING, _MISSED * abs(explained)):
        return f"On a picture of noise, the shares sum to all {abs(explained):.2g} logits. {rule}"
    return (
        f"On a picture of noise, the shares miss {error:.2g} of {abs(explained):.2g} logits: this "
        "network runs functions that differences cannot be passed back through. Where more than "
        f"half is missed, an image has no map; Integrated Gradients needs no rule. {rule}"
    )


def _own_modules(facts: Facts) -> str:
    if facts.relus <= facts.modules:
        return ""
    return (
        f"A pass uses {facts.modules} ReLU modules {facts.relus} times: the method needs a module "
        "for each use, and runs on a copy that has them, with the same answer bit for bit."
    )


def _noise(network: Network) -> Tensor:
    shape = (1, *network.card.shape)
    if network.sees_photos:
        return make_baseline(network, torch.zeros(shape, device=network.device), "noise")
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(network.device)
