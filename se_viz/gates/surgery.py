"""Gate surgery: changes of gates as values, to be listed, compared and compiled for `edit_gates`.

Why: docs/decisions/008-edits-are-values.md
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Literal, TypeAlias

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from se_viz.errors import EditError
from se_viz.gates.gains import plain_edit
from se_viz.gates.records import GateRecord, GateSite
from se_viz.gates.tables import label_blocks, tabulate_gates

Blocks: TypeAlias = str | Collection[str] | Mapping[str, Collection[int] | None]
"""Path of a block, paths of several, or for each path the channels that are meant (None: all)."""

Targets: TypeAlias = tuple[tuple[str, tuple[int, ...] | None], ...]
"""Paths of blocks, each with the channels that are meant; None: all of them."""

_NAMED = 3


@dataclass(frozen=True, slots=True)
class GateEdit:
    """One change of some gates.

    `set_gates`, `scale_gates` and `level_gates` make it, `compile_edits` uses it.
    """

    targets: Targets
    """Path of each block with the channels that change; None: all of them."""
    action: Literal["set", "scale", "level"]
    """Whether gates become ``amount``, are multiplied by it, or become their mean."""
    amount: float = 0.0
    """The new value, or the factor."""

    @property
    def blocks(self) -> tuple[str, ...]:
        """Paths of the blocks that it changes."""
        return tuple(block for block, _ in self.targets)


def set_gates(
    blocks: Blocks, value: int | float, *, channels: Collection[int] | None = None
) -> GateEdit:
    """Make an edit that sets gates to one value: 0 shuts a channel, 1 lets it pass unchanged.

    ``channels`` are meant in every block; without it all are, or those that the mapping ``blocks``
    lists.

    Raises:
        EditError: no channel is named, or the value is not finite.
    """
    return GateEdit(_targets(blocks, channels), "set", _finite(value))


def scale_gates(
    blocks: Blocks, factor: int | float, *, channels: Collection[int] | None = None
) -> GateEdit:
    """Make an edit that multiplies gates; they may leave the range of their function.

    Raises:
        EditError: no channel is named, or the factor is not finite.
    """
    return GateEdit(_targets(blocks, channels), "scale", _finite(factor))


def level_gates(blocks: Blocks, *, channels: Collection[int] | None = None) -> GateEdit:
    """Make an edit that sets the gates of a block to their mean, over the named channels of each
    image.

    Raises:
        EditError: no channel is named.
    """
    return GateEdit(_targets(blocks, channels), "level")


def add_edit(edits: Sequence[GateEdit], new: GateEdit) -> tuple[GateEdit, ...]:
    """Append an edit; the last ones go if it sets every gate that they changed, since nothing of
    them would be left.
    """
    history = list(edits)
    while history and _overwrites(new, history[-1]):
        history.pop()
    return (*history, new)


def compile_edits(
    edits: Sequence[GateEdit], sites: Sequence[GateSite]
) -> dict[str, Callable[[Float[Tensor, "batch channels"]], Float[Tensor, "batch channels"]]]:
    """Turn edits into what `edit_gates` takes; each acts on what those before it left.

    ``sites`` are the blocks of the network, from `find_gates` or of a `Network`: every edit is
    checked against them. Amounts are in their units: with a site's gain they are of gate x gain, so
    that 1 is no change.

    Raises:
        EditError: an edit names a block or channel that the network does not have, or a value that
            no gate of the block can have.
    """
    # Of a block with several products in its code, the one with the fewest channels counts.
    sites_by_block = {site.block: site for site in sorted(sites, key=lambda site: -site.channels)}
    steps: dict[str, list[Callable[[Tensor], Tensor]]] = {}
    for edit in edits:
        for block, channels in edit.targets:
            _check(edit, channels, sites_by_block.get(block), block)
            steps.setdefault(block, []).append(partial(_change, edit, channels))
    return {
        block: plain_edit(sites_by_block[block].gain, partial(_run, tuple(parts)))
        for block, parts in steps.items()
    }


def describe_edit(edit: GateEdit, sites: Sequence[GateSite]) -> str:
    """Say in one line where an edit acts, on how many channels, and what it does: "SE_4_3: channel
    7 set to 0".
    """
    return f"{describe_targets(edit.targets, sites)} {_name_action(edit, sites)}"


def describe_targets(targets: Targets, sites: Sequence[GateSite]) -> str:
    """Say in one line which channels of which blocks are meant: "Stage 4 (6 blocks): all
    channels".
    """
    return (
        f"{_name_place([block for block, _ in targets], sites)}: {_name_channels(targets, sites)}"
    )


def compare_gates(before: Sequence[GateRecord], after: Sequence[GateRecord]) -> pd.DataFrame:
    """Return the table of all gates before (``gate``), after (``after``), and by how much they
    differ (``change``).
    """
    table = tabulate_gates(before)
    gates = tabulate_gates(after)["gate"]
    return table.assign(after=gates, change=gates - table["gate"])


def _targets(blocks: Blocks, channels: Collection[int] | None) -> Targets:
    names = [blocks] if isinstance(blocks, str) else blocks
    channels_of = names if isinstance(names, Mapping) else dict.fromkeys(names, channels)
    targets = tuple(
        (block, None if indices is None else tuple(sorted(set(indices))))
        for block, indices in channels_of.items()
        # An empty choice changes nothing in its block.
        if indices is None or len(indices)
    )
    if not targets:
        raise EditError(
            "An edit without any channel changes nothing. Name at least one block and one channel "
            "of it."
        )
    return targets


def _finite(amount: int | float) -> float:
    if not isfinite(amount):
        raise EditError(
            f"A gate cannot become {amount}, nor be multiplied by it. Give a finite number."
        )
    return float(amount)


def _overwrites(new: GateEdit, old: GateEdit) -> bool:
    if new.action != "set":
        return False
    targets = dict(new.targets)
    return all(
        block in targets and _holds(targets[block], channels) for block, channels in old.targets
    )


def _holds(channels: tuple[int, ...] | None, part: tuple[int, ...] | None) -> bool:
    """Return whether some channels, None for all, hold those of a part."""
    if channels is None:
        return True
    return part is not None and {*part} <= {*channels}


def _check(
    edit: GateEdit, channels: tuple[int, ...] | None, site: GateSite | None, block: str
) -> None:
    if site is None:
        raise EditError(
            f"This network has no SE block {block!r}, which an edit changes. Remove the edit, or "
            "choose the network that it was made for."
        )
    if channels and not 0 <= channels[0] <= channels[-1] < site.channels:
        wrong = channels[0] if channels[0] < 0 else channels[-1]
        name = block or "The model itself"
        raise EditError(f"{name} has no channel {wrong}. Choose from 0 to {site.channels - 1}.")
    if edit.action == "set" and not site.low <= edit.amount <= site.high:
        raise EditError(
            f"The gates of {block} come from {site.function} and lie in {site.low:g} to "
            f"{site.high:g}, so none can be set to {edit.amount:g}. Choose a value in between, or "
            "multiply."
        )


def _change(edit: GateEdit, channels: tuple[int, ...] | None, gate: Tensor) -> Tensor:
    if channels is None:
        return _replace(edit, gate)
    index = torch.tensor(channels, device=gate.device)
    return gate.index_copy(1, index, _replace(edit, gate[:, index]))


def _replace(edit: GateEdit, gate: Tensor) -> Tensor:
    if edit.action == "scale":
        return gate * edit.amount
    if edit.action == "set":
        return torch.full_like(gate, edit.amount)
    return gate.mean(1, keepdim=True).expand_as(gate)


def _run(steps: tuple[Callable[[Tensor], Tensor], ...], gate: Tensor) -> Tensor:
    for step in steps:
        gate = step(gate)
    return gate


def _name_place(names: Sequence[str], sites: Sequence[GateSite]) -> str:
    blocks = set(names)
    stages = {site.stage for site in sites if site.block in names}
    count = f"({len(blocks)} blocks)"
    if len(blocks) > 1 and blocks == {site.block for site in sites}:
        return f"Whole network {count}"
    if (
        len(blocks) > 1
        and blocks == {site.block for site in sites if site.stage in stages}
        and len(stages) == 1
    ):
        return f"Stage {stages.pop()} {count}"
    return ", ".join(_labels(names, sites)) if len(blocks) <= _NAMED else f"{len(blocks)} blocks"


def _labels(names: Sequence[str], sites: Sequence[GateSite]) -> Iterator[str]:
    labels = label_blocks(sites)
    for block in names:
        uses = sum(site.block == block for site in sites)
        yield labels.get(block, block) + (f" (used {uses} times)" if uses > 1 else "")


def _name_channels(targets: Targets, sites: Sequence[GateSite]) -> str:
    if all(channels is None for _, channels in targets):
        return "all channels"
    width = {site.block: site.channels for site in sites}
    count = sum(
        width.get(block, 0) if channels is None else len(channels) for block, channels in targets
    )
    first = targets[0][1]
    return f"{count:,} channels" if count > 1 or not first else f"channel {first[0]}"


def _name_action(edit: GateEdit, sites: Sequence[GateSite]) -> str:
    if edit.action == "set":
        return f"set to {edit.amount:g}"
    if edit.action == "level":
        return "set to their mean" + (", block by block" if len(edit.targets) > 1 else "")
    ranges = {f"{site.low:g} to {site.high:g}" for site in sites if site.block in edit.blocks}
    beyond = (
        ", which may leave " + " or ".join(sorted(ranges))
        if not 0 <= edit.amount <= 1 and ranges
        else ""
    )
    return f"multiplied by {edit.amount:g}{beyond}"
