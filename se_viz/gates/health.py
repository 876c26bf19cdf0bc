"""Whether the gates of each block do anything: measured over several images, judged by limits that
can be moved.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from math import isfinite
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from se_viz.errors import DataError, LimitError
from se_viz.gates.records import GateRecord, GateSite
from se_viz.gates.tables import label_blocks
from se_viz.gates.variance import estimate_image_share

HEALTHY = "healthy"
UNDECIDED = "undecided"
NO_NUMBER = "not a number"
STUCK = "near the middle"
CONSTANT = "constant"
SATURATED = "saturated"
DEAD = "dead channels"
FIXED = "same for every image"
FLAGS = (NO_NUMBER, STUCK, CONSTANT, SATURATED, DEAD, FIXED)
"""Every flag, the gravest first."""

ENOUGH = 24
"""Images from which on most blocks can be judged; `docs/verdicts.md` has the rates."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Where each flag begins.

    Distances are shares of the gate function's range, which for a sigmoid is 1.
    """

    constant: float = 0.02
    """CONSTANT: in every image the standard deviation over channels is at most this; 0 to 0.5."""
    middle: float = 0.05
    """STUCK: most gates are at most this far from the middle, the function of 0; 0 to 0.5."""
    end: float = 0.05
    """SATURATED: most gates are at most this far from an end of the range; 0 to 0.5."""
    most: float = 0.8
    """Share of a block's gates that counts as most of them; 0 to 1."""
    dead: float = 0.05
    """DEAD: more than this share of a block's channels is dead; 0 to 1."""
    fixed: float = 0.1
    """FIXED: the share of the gates' variance between images is below this, with its whole
    interval; 0 to 1."""

    def __post_init__(self) -> None:
        """Check every limit.

        Raises:
            LimitError: one is outside of its range.
        """
        for limit in fields(self):
            value = getattr(self, limit.name)
            high = 0.5 if limit.name in ("constant", "middle", "end") else 1.0
            if not 0 <= value <= high:
                raise LimitError(
                    f"The limit {limit.name} is {value:g}. Choose one between 0 and {high:g}."
                )


@dataclass(frozen=True, slots=True)
class BlockHealth:
    """What the gates of one block do over several images; lengths are in units of the gate."""

    label: str
    """Label, e.g. ``SE_4_3``."""
    site: GateSite
    """The block, and its gate function with its range."""
    limits: Limits
    """What it is judged by."""
    images: int
    """Number of images."""
    unit: float
    """What distances are shares of: the function's range or, where it has none, the largest
    gate."""
    mean: float
    """Mean of all gates."""
    over_channels: float
    """Standard deviation over channels, in the image where it is largest."""
    over_images: float | None
    """Standard deviation of one channel's gate over images, as the root mean square over channels;
    unbiased (divided by the number of images less one). None for one image."""
    image_share: float | None
    """Share of the gates' variance that is between images, 0 to 1; None for one image or no
    variance. It does not depend on how many images there are, but on average over draws of them."""
    image_share_low: float | None
    """Lower end of its interval at `LEVEL`, over draws of as many images; None for fewer than
    three images."""
    image_share_high: float | None
    """Upper end of that interval."""
    near_middle: float | None
    """Share of gates near the middle of the range, 0 to 1; None where there is no range to compare
    with."""
    near_low: float | None
    """Share of gates near the lower end, likewise."""
    near_high: float | None
    """Share of gates near the upper end, likewise."""
    dead: int | None
    """Number of channels that are zero in every image; None where squeezes alone do not tell."""

    @property
    def constant(self) -> bool:
        """Whether in every image all channels have nearly the same gate."""
        return self.over_channels <= self.limits.constant * self.unit

    @property
    def fixed(self) -> bool | None:
        """Whether a channel's gate is nearly the same in every image.

        None where the images do not tell.
        """
        if self.image_share_low is None or self.image_share_high is None:
            return None
        # Only an interval on one side of the limit decides.
        if self.image_share_high < self.limits.fixed:
            return True
        return False if self.image_share_low >= self.limits.fixed else None

    @property
    def verdict(self) -> tuple[str, ...]:
        """Return the flags, or that the images are too few for the last of them, or that the block
        is healthy.
        """
        return self.flags or ((UNDECIDED,) if self.fixed is None else (HEALTHY,))

    @property
    def flags(self) -> tuple[str, ...]:
        """Return those of `FLAGS` that hold, the gravest first."""
        most = self.limits.most
        # A share that is None, for want of a range, flags nothing.
        holds = {
            NO_NUMBER: not isfinite(self.mean),
            STUCK: (self.near_middle or 0) >= most,
            CONSTANT: self.constant,
            SATURATED: (self.near_low or 0) + (self.near_high or 0) >= most,
            DEAD: (self.dead or 0) > self.limits.dead * self.site.channels,
            # What a constant's gates still vary by is noise, whose shares tell nothing.
            FIXED: not self.constant and self.fixed is True,
        }
        return tuple(flag for flag in FLAGS if holds[flag])


def check_health(
    records: Sequence[GateRecord],
    sites: Sequence[GateSite],
    *,
    limits: Limits | None = None,
    dead: Mapping[str, int] | None = None,
) -> tuple[BlockHealth, ...]:
    """Measure and judge each block over all images of its records, in forward order.

    ``sites``, of `find_gates`, tell the range of each gate function. Records of one block, be it of
    one batch or of several passes, are taken together. ``image_share`` is that of
    `estimate_image_share`. Hu et al. (arXiv 1709.01507, section 7.2) look at the same by eye, and
    find blocks that saturate, or hardly depend on the image, to matter least. Fewer than three
    images never tell whether gates depend on the image, and few images leave many blocks undecided:
    give `ENOUGH`. ``dead`` gives numbers of dead channels that `count_dead` could not tell.

    A function without a finite range, and a softmax, whose gates share 1 out, have no middle and no
    ends to compare with; for them distances are shares of the largest gate.

    Raises:
        DataError: there are no records, or a block has no site.
    """
    if not records:
        raise DataError(
            "There are no gates to check. Run the model on some images inside `capture_gates` "
            "first."
        )
    labels = label_blocks(records)
    places = {site.name: site for site in sites}
    if missing := labels.keys() - places.keys():
        raise DataError(
            f"{min(missing)} is none of the given sites. Give those of `find_gates(model)`."
        )
    dead_counts = {**count_dead(records, sites), **(dead or {})}
    limits = limits or Limits()
    return tuple(
        BlockHealth(
            labels[name],
            places[name],
            limits,
            **_measure(uses, places[name], limits),
            dead=dead_counts[name],
        )
        for name, uses in _by_block(records)
    )


def count_dead(records: Sequence[GateRecord], sites: Sequence[GateSite]) -> dict[str, int | None]:
    """Count the channels of each block whose feature map U is zero in every image: their gates
    multiply nothing.

    A mean of 0 may be of values that cancel. So without ``features`` only this can be told: where
    no squeeze, if it is a mean, is 0 in every image, no channel is dead. Otherwise the count is
    None.
    """
    averaged = {site.name for site in sites if site.averaged}
    return {name: _dead(uses, averaged=name in averaged) for name, uses in _by_block(records)}


def tabulate_health(blocks: Sequence[BlockHealth]) -> pd.DataFrame:
    """Return one row a block: its flags as one text, then its numbers."""
    return pd.DataFrame(
        {
            "block": block.label,
            "path": block.site.name,
            "stage": block.site.stage,
            "flags": ", ".join(block.verdict),
            "channels": block.site.channels,
            **{name: getattr(block, name) for name in _NUMBERS},
        }
        for block in blocks
    )


def _by_block(records: Sequence[GateRecord]) -> Iterator[tuple[str, list[GateRecord]]]:
    # In forward order: the first record of each block stands for it.
    order = {
        name: place for place, name in enumerate(dict.fromkeys(record.name for record in records))
    }
    grouped = groupby(
        sorted(records, key=lambda record: order[record.name]), key=lambda record: record.name
    )
    return ((name, list(uses)) for name, uses in grouped)


def _dead(uses: list[GateRecord], *, averaged: bool) -> int | None:
    if averaged and not torch.cat([use.squeeze for use in uses]).eq(0).all(0).any():
        return 0
    maps = [use.features for use in uses if use.features is not None]
    if len(maps) < len(uses):
        return None
    return int(torch.cat([features.flatten(2).eq(0).all(2) for features in maps]).all(0).sum())


def _measure(uses: list[GateRecord], site: GateSite, limits: Limits) -> dict[str, Any]:
    gate = torch.cat([use.gate for use in uses]).double()
    share = estimate_image_share(gate)
    # A softmax shares 1 out among the channels: the middle of 0 to 1 means nothing to it.
    ranged = isfinite(site.low) and isfinite(site.high) and site.function != "Softmax"
    unit = site.high - site.low if ranged else gate.abs().max().item()
    middle = limits.middle * unit
    end = limits.end * unit
    return {
        "images": len(gate),
        "unit": unit,
        "mean": gate.mean().item(),
        "over_channels": gate.std(1, correction=0).max().item(),
        "over_images": gate.var(0).mean().item() ** 0.5 if len(gate) > 1 else None,
        "image_share": share and share.value,
        "image_share_low": share and share.low,
        "image_share_high": share and share.high,
        "near_middle": _share_near(gate, (site.low + site.high) / 2, middle) if ranged else None,
        "near_low": _share_near(gate, site.low, end) if ranged else None,
        "near_high": _share_near(gate, site.high, end) if ranged else None,
    }


def _share_near(gate: Tensor, place: float, distance: float) -> float:
    return ((gate - place).abs() <= distance).double().mean().item()


_NUMBERS = [
    field.name
    for field in fields(BlockHealth)
    if field.name not in ("label", "site", "limits", "unit")
]
