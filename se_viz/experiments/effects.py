"""Gate is not importance: what each channel's gate does to a logit, and how that goes with its
size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import isnan
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from se_viz.devices import Report, Watch, memory_in_words, turn_with_gradients
from se_viz.errors import AttributionError, EditError, NoSEBlocksError
from se_viz.experiments.variants import run_variants
from se_viz.gates import GateSite, edit_gates
from se_viz.networks import Network

Effects: TypeAlias = Float[Tensor, "channels"]
"""What each channel of a block does to a logit; NaN for those that were not asked."""

LEVEL = 0.95
"""Share of shuffles that the band of a `SlopeTest` holds."""

SHUFFLES = 499
"""How often slopes are shuffled."""

FEWEST = 8
"""Channels from which an order can be told from chance: four have only 24 orders."""

STANDINGS = {-1: "below", 0: "inside", 1: "above"}
"""Where a rank correlation lies beside those of shuffled slopes."""

_MEANINGS = {
    "below": "Large gates have flatter slopes: the answer depends on them less than their size "
    "suggests.",
    "inside": "The product alone explains this: large gates have no other slopes than small gates.",
    "above": "Large gates have steeper slopes too: the answer depends on them most.",
}

_ROUNDING = 1e-9
"""Rank correlations nearer than this are equal."""


@dataclass(frozen=True, slots=True, eq=False)
class SlopeTest:
    """Spearman's rank correlation of gate and effect, beside those that shuffled slopes give.

    An effect is gate x slope: it goes with the gate also where slopes do not, so 0 is not what
    chance gives.
    """

    value: float
    """From -1 to 1."""
    shuffled: Float[np.ndarray, "shuffles"]
    """The same with the slopes shuffled among the channels, from the lowest to the highest."""

    @property
    def mean(self) -> float:
        """Return the mean over shuffles: what a gate that says nothing of its slope gives."""
        return float(self.shuffled.mean())

    @property
    def band(self) -> tuple[float, float]:
        """Return the ends of the band.

        Of orders that mean nothing, at most 1 - ``LEVEL`` lie outside.
        """
        # The rank among shuffles and value together, as permutation tests count (Phipson and Smyth,
        # 2010).
        rank = int((1 - LEVEL) / 2 * (len(self.shuffled) + 1))
        return float(self.shuffled[rank - 1]), float(self.shuffled[-rank])

    @property
    def standing(self) -> str:
        """Return one of ``STANDINGS``: whether the value lies below the band, inside or above."""
        low, high = self.band
        # Beyond rounding: a value on the edge of the band is inside.
        return STANDINGS[int(self.value > high + _ROUNDING) - int(self.value < low - _ROUNDING)]


def ablate_channels(
    network: Network,
    image: Image.Image | Tensor,
    block: str,
    *,
    channels: Sequence[int] | None = None,
    whole: bool = False,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> Float[Tensor, "channels classes"]:
    """Return how far each logit falls when one channel's gate of a block is set to 0, one channel
    at a time.

    Positive: the channel speaks for the class. Later gates react. ``block`` is the name of one use
    of a block, ``channels`` asks for some of its channels alone. Batched: see `run_variants` for
    how exact that is, what else it raises, ``whole`` and ``report``.

    Raises:
        NoSEBlocksError: there is no such block.
        EditError: it has no channel of a number in ``channels``.
    """
    numbers = range(_site(network, block).channels)
    if channels is None:
        channels = numbers
    strange = [channel for channel in channels if channel not in numbers]
    if strange:
        raise EditError(f"{block} has no channel {strange[0]}. Choose from 0 to {numbers[-1]}.")
    variants = [{block: partial(_shut, channel)} for channel in channels]
    answers = run_variants(network, image, variants, whole=whole, watch=watch, report=report)
    return answers.live - answers.edited


def gather_effects(
    parts: Mapping[tuple[int, ...], Float[Tensor, "some classes"]], channels: int, target: int
) -> Effects:
    """Return what `ablate_channels` found of one class, from parts by their channels.

    NaN for those of no part.
    """
    effects = torch.full([channels], torch.nan)
    for some, falls in parts.items():
        effects[list(some)] = falls[:, target]
    return effects


def estimate_effects(
    network: Network,
    image: Image.Image | Tensor,
    block: str,
    target: int,
    *,
    whole: bool = False,
    watch: Watch = lambda _: None,
) -> Float[Tensor, "channels"]:
    """Return gradient x gate for each channel of a block: a first-order estimate of what
    `ablate_channels` finds.

    One pass forward and one back. It equals the spatial sum of gradient x activation at the block's
    output. With ``whole`` the image is neither scaled nor cut, see `Network.preprocess`.

    Raises:
        NoSEBlocksError: there is no such block.
        AttributionError: there is no such class.
        BusyError: too many wait for the device.
        TooLittleMemoryError: it has too little memory.
    """
    site = _site(network, block)
    if not 0 <= target < len(network.classes):
        raise AttributionError(
            f"There is no class {target}: choose one of 0 to {len(network.classes) - 1}."
        )
    inputs = network.take(image, whole=whole)
    subject = f"a pass back through {network.card.title}"
    with (
        turn_with_gradients(network.device, watch, sliced=False),
        memory_in_words(network.device, subject),
    ):
        return _gradient_x_gate(network, inputs.clone(), site, target)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return Spearman's rank correlation, or None where one side is constant.

    Ties share their mean rank.
    """
    value = float(
        pd.DataFrame({"first": first, "second": second}).corr(method="spearman").iloc[0, 1]
    )
    return None if isnan(value) else value


def compare_slopes(
    gates: Float[np.ndarray, "channels"],
    effects: Float[np.ndarray, "channels"],
    *,
    sizes: bool,
    seed: int = 0,
) -> SlopeTest | None:
    """Compare the rank correlation of gate and effect with those that shuffled slopes give.

    ``sizes`` asks for the size of effects, without their sign. None where there are fewer than
    ``FEWEST`` channels, or no order because all gates or all effects are alike. A channel whose
    gate is 0 has no effect, whatever its slope, and keeps its place.
    """
    value = rank_correlation(gates, abs(effects) if sizes else effects)
    if len(gates) < FEWEST or value is None:
        return None
    open_channels = np.flatnonzero(gates)
    slopes = effects[open_channels] / gates[open_channels]
    dice = np.random.default_rng(seed)
    shuffled = np.zeros((SHUFFLES, len(gates)))
    shuffled[:, open_channels] = gates[open_channels] * dice.permuted(
        np.tile(slopes, (SHUFFLES, 1)), axis=1
    )
    correlations = _rank_correlations(gates, abs(shuffled) if sizes else shuffled)
    return SlopeTest(value, np.sort(correlations))


def _rank_correlations(first: np.ndarray, rows: np.ndarray) -> np.ndarray:
    ranks = pd.Series(first).rank().to_numpy()
    table = pd.DataFrame(rows).rank(axis=1).to_numpy()
    # Not pandas' own: its correlation takes one pair at a time, and here are hundreds.
    ranks = ranks - ranks.mean()
    table = table - table.mean(1, keepdims=True)
    return table @ ranks / np.sqrt((ranks @ ranks) * (table**2).sum(1))


def describe_slopes(size: SlopeTest | None, signed: SlopeTest | None, channels: int) -> str:
    """Say in Markdown how gates go with effects, and whether shuffled slopes do as much."""
    if channels < FEWEST:
        return (
            f"{channels} channels are too few to distinguish an order from chance; {FEWEST} are "
            "needed."
        )
    if size is None or signed is None:
        return "All gates, or all effects, are equal here: there is no order to compare."
    return (
        f"Spearman's rank correlation of gate and **size of effect** is **{size.value:+.2f}**, "
        f"{_place(size)}. {_MEANINGS[size.standing]} An effect is gate x slope, so it follows the "
        f"gate whatever the slopes: with shuffled slopes the correlation is {size.mean:+.2f} on "
        f"average. For gate and signed effect it is {signed.value:+.2f}, {_place(signed)}."
    )


def _place(test: SlopeTest) -> str:
    low, high = test.band
    return (
        f"**{test.standing}** the {LEVEL:.0%} that shuffled slopes give ({low:+.2f} to {high:+.2f})"
    )


def tabulate_effects(
    gates: Float[Tensor, "channels"], effects: Float[Tensor, "channels"]
) -> pd.DataFrame:
    """Return one row a channel: its gate, and its effect on the logit."""
    return pd.DataFrame(
        {"channel": range(len(gates)), "gate": gates.numpy(), "effect": effects.numpy()}
    )


def find_outliers(table: pd.DataFrame, number: int = 4) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return channels whose gate misleads: wide open and useless, and nearly shut and decisive.

    The first have the smallest absolute effects in the quarter of channels with the widest gates,
    the second the largest ones in the quarter with the narrowest.
    """
    quarter = max(1, len(table) // 4)
    # Stable: channels with equal values keep their order in every run.
    ordered = table.assign(size=table["effect"].abs()).sort_values("gate", kind="stable")
    useless = ordered.tail(quarter).sort_values("size", kind="stable").head(number)
    decisive = (
        ordered.head(quarter).sort_values("size", ascending=False, kind="stable").head(number)
    )
    return useless.drop(columns="size"), decisive.drop(columns="size")


def _site(network: Network, name: str) -> GateSite:
    sites = {site.name: site for site in network.inspection.sites}
    if name not in sites:
        raise NoSEBlocksError(f"There is no SE block {name!r}. Choose among: {', '.join(sites)}.")
    return sites[name]


def _shut(channel: int, gates: Tensor) -> Tensor:
    return gates.index_fill(0, torch.tensor(channel, device=gates.device), 0)


def _gradient_x_gate(
    network: Network, inputs: Tensor, site: GateSite, target: int
) -> Float[Tensor, "channels"]:
    use = count()
    leaves = []

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
