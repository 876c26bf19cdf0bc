"""One block's gates in one training pass, as one row of numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from se_viz.gates.health import BlockHealth, Limits, check_health
from se_viz.gates.records import GateRecord, GateSite


@dataclass(frozen=True, slots=True)
class GateStatistics:
    """What the gates of one SE block were in one training pass, over its images and channels."""

    step: int
    """Number of the training pass, from 0, or what ``step`` of the monitor returned."""
    block: str
    """Label, e.g. ``SE_4_3``."""
    path: str
    """Dotted path inside the model; from a block's second use in a pass on with its number."""
    stage: int
    """log2 of the stride of the block's input."""
    images: int
    """Images of the batch."""
    channels: int
    """Gates of one image."""
    mean: float
    """Mean of all gates, in units of the gate."""
    std: float
    """Standard deviation of all gates, over images and channels (divided by their number)."""
    over_images: float | None
    """Standard deviation of one channel's gate over images, as the root mean square over channels
    (unbiased); None for one image. 0 where gates do not depend on the image."""
    near_low: float | None
    """Share of gates near the lower end of the gate function's range, 0 to 1: of a sigmoid's, those
    up to `Limits.end` = 0.05. None where there is no range."""
    near_middle: float | None
    """Share near the middle, likewise: of a sigmoid's, those within `Limits.middle` = 0.05 of
    0.5."""
    near_high: float | None
    """Share near the upper end, likewise: of a sigmoid's, those from 0.95 on."""
    dead: int | None
    """Channels that are zero in every image; None where squeezes alone do not tell."""
    health: str
    """The verdict of `check_health` on this batch: flags, the gravest first, or ``healthy``."""

    def as_row(self) -> dict[str, Any]:
        """Return its fields by name; what is no finite number is None."""
        row = asdict(self)
        return {
            name: None if isinstance(value, float) and not isfinite(value) else value
            for name, value in row.items()
        }

    def as_numbers(self) -> dict[str, float]:
        """Return the numbers that a curve can be drawn of, by name."""
        values = {name: getattr(self, name) for name in CURVES}
        return {name: value for name, value in values.items() if value is not None}


CURVES = ("mean", "std", "over_images", "near_low", "near_middle", "near_high", "dead")
"""The fields that change from step to step."""


def summarise_pass(
    step: int, records: Sequence[GateRecord], sites: Sequence[GateSite], limits: Limits
) -> tuple[GateStatistics, ...]:
    """Return one row a use of a block, in forward order."""
    uses = {record.name: record for record in records}
    blocks = check_health(list(uses.values()), sites, limits=limits)
    return tuple(_row(step, block, uses[block.site.name]) for block in blocks)


def _row(step: int, block: BlockHealth, record: GateRecord) -> GateStatistics:
    return GateStatistics(
        step=step,
        block=block.label,
        path=record.name,
        stage=record.stage,
        images=block.images,
        channels=block.site.channels,
        mean=block.mean,
        std=record.gate.double().std(correction=0).item(),
        over_images=block.over_images,
        near_low=block.near_low,
        near_middle=block.near_middle,
        near_high=block.near_high,
        dead=block.dead,
        health=", ".join(block.verdict),
    )
