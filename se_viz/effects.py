"""Gate is not importance: what each channel's gate does to a logit, and how that goes with its size."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import atanh, isnan, sqrt, tanh
from statistics import NormalDist

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from se_viz.errors import AttributionError, DeviceError, EditError, NoSEBlocksError
from se_viz.gates import GateSite, edit_gates
from se_viz.line import Watch
from se_viz.networks import Network
from se_viz.runtime import line_of
from se_viz.variants import Report, run_variants

LEVEL = 0.95
"""Coverage of the interval of a rank correlation."""


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """Spearman's rank correlation, and its interval."""

    value: float
    """From -1 to 1."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


def ablate_channels(
    network: Network,
    image: Image.Image,
    block: str,
    *,
    channels: Sequence[int] | None = None,
    whole: bool = False,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> Float[Tensor, "channels classes"]:
    """Return how far each logit falls when one channel's gate of a block is set to 0, one channel at a time.

    Positive: the channel speaks for the class. Later gates react. ``block`` is the name of one use of a block,
    ``channels`` asks for some of its channels alone. Batched: see `run_variants` for how exact that is, what else
    it raises, ``whole`` and ``report``.

    Raises:
        NoSEBlocksError: there is no such block.
        EditError: it has no channel of a number in ``channels``.
    """
    known = range(_site(network, block).channels)
    asked = known if channels is None else channels
    if wrong := [channel for channel in asked if channel not in known]:
        raise EditError(f"{block} has no channel {wrong[0]}. Choose from 0 to {known[-1]}.")
    variants = [{block: partial(_shut, channel)} for channel in asked]
    answers = run_variants(network, image, variants, whole=whole, watch=watch, report=report)
    return answers.live - answers.edited


def estimate_effects(
    network: Network,
    image: Image.Image,
    block: str,
    target: int,
    *,
    whole: bool = False,
    watch: Watch = lambda _: None,
) -> Float[Tensor, "channels"]:
    """Return gradient x gate for each channel of a block: a first-order estimate of what `ablate_channels` finds.

    One pass forward and one back. It equals the spatial sum of gradient x activation at the block's output. With
    ``whole`` the image is neither scaled nor cut, see `Network.preprocess`.

    Raises:
        NoSEBlocksError: there is no such block.
        AttributionError: there is no such class.
        BusyError: too many wait for the device.
        DeviceError: it has too little memory.
    """
    site = _site(network, block)
    if not 0 <= target < len(network.classes):
        raise AttributionError(f"There is no class {target}: choose one of 0 to {len(network.classes) - 1}.")
    inputs = network.preprocess(image, whole=whole)
    # Inference mode of the caller would keep gradients off, whatever else is set.
    with line_of(network.device).turn(watch), torch.inference_mode(False), torch.enable_grad():
        try:
            return _gradient_x_gate(network, inputs.clone(), site, target)
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"{network.device} has too little memory left for a pass back through {network.card.title}. Choose a "
                "smaller network, or the device cpu."
            ) from error


def rank_correlation(first: np.ndarray, second: np.ndarray) -> RankCorrelation | None:
    """Return Spearman's rank correlation with its interval, or None where one side is constant or n < 4.

    Ties share their mean rank. The interval is Fisher's, with the standard error sqrt((1 + r^2 / 2) / (n - 3)) of
    Bonett and Wright, Psychometrika 65 (2000).
    """
    table = pd.DataFrame({"first": first, "second": second})
    value = float(table.corr(method="spearman").iloc[0, 1])
    if len(table) < 4 or isnan(value):
        return None
    if abs(value) >= 1:
        return RankCorrelation(value, value, value)
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * sqrt((1 + value**2 / 2) / (len(table) - 3))
    return RankCorrelation(value, tanh(atanh(value) - reach), tanh(atanh(value) + reach))


def tabulate_effects(gates: Float[Tensor, "channels"], effects: Float[Tensor, "channels"]) -> pd.DataFrame:
    """Return one row a channel: its gate, and its effect on the logit."""
    return pd.DataFrame({"channel": range(len(gates)), "gate": gates.numpy(), "effect": effects.numpy()})


def find_outliers(table: pd.DataFrame, number: int = 4) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return channels whose gate misleads: wide open and useless, and nearly shut and decisive.

    The first have the smallest absolute effects in the quarter of channels with the widest gates, the second the
    largest ones in the quarter with the narrowest.
    """
    quarter = max(1, len(table) // 4)
    ordered = table.assign(size=table["effect"].abs()).sort_values("gate", kind="stable")
    useless = ordered.tail(quarter).sort_values("size", kind="stable").head(number)
    decisive = ordered.head(quarter).sort_values("size", ascending=False, kind="stable").head(number)
    return useless.drop(columns="size"), decisive.drop(columns="size")


def _site(network: Network, name: str) -> GateSite:
    sites = {site.name: site for site in network.inspection.sites}
    if name not in sites:
        raise NoSEBlocksError(f"There is no SE block {name!r}. Choose among: {', '.join(sites)}.")
    return sites[name]


def _shut(channel: int, gates: Tensor) -> Tensor:
    return gates.index_fill(0, torch.tensor(channel, device=gates.device), 0)


def _gradient_x_gate(network: Network, inputs: Tensor, site: GateSite, target: int) -> Float[Tensor, "channels"]:
    use, leaves = count(), []

    def mark(gates: Tensor) -> Tensor:
        if next(use) != site.call:
            return gates
        leaves.append(gates.detach().clone().requires_grad_())
        # A copy: what comes next may work in place, which a leaf does not allow.
        return leaves[0].clone()

    with edit_gates(network.model, {site.block: mark}):
        logit = network.model(inputs)[0, target]
    (slope,) = torch.autograd.grad(logit, leaves)
    return (slope * leaves[0].detach())[0].float().cpu()
