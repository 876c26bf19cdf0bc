"""Many changes of one image's gates: each row of a batch carries another one, and the first
carries none.

Why: docs/decisions/024-many-edits-in-one-pass.md
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from se_viz.devices import Report, Watch, line_of, run_halving
from se_viz.errors import EditError, NoSEBlocksError
from se_viz.gates import edit_gates
from se_viz.gates.gains import plain_edit
from se_viz.gates.hooks import is_watching
from se_viz.networks import Network

RowEdit: TypeAlias = Callable[[Tensor], Tensor]
"""From the gates that one use of a block computed, (channels,), to those it multiplies by."""

Variant: TypeAlias = Mapping[str, RowEdit]
"""What one row of a batch changes: for the name of a use of a block, an edit."""

_ROWS = {"cpu": 15}
_ROWS_ON_GPU = 63
"""Variants in one whole pass, beside the unchanged image: on a CPU a third of a second for an
SE-ResNet-50."""
_MOST = 255
_SLACK = 0.01
_ROUNDING = 1e-5

_LEAST = 24
"""Variants from which on `_may_spread` tries: the trial runs about as many images as eight
variants save."""


@dataclass(frozen=True, slots=True)
class VariantLogits:
    """What a network answers to one image under each of several variants."""

    live: Float[Tensor, "variants classes"]
    """Logits of the unchanged image, each from the same pass as the variant's; float32 on the
    CPU."""
    edited: Float[Tensor, "variants classes"]
    """Logits under each variant; float32 on the CPU."""


def run_variants(
    network: Network,
    image: Image.Image | Tensor,
    variants: Sequence[Variant],
    *,
    whole: bool = False,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> VariantLogits:
    """Answer to one image under each variant: what a variant does not name is live, and reacts.

    Many go into one pass, and each is compared with the unchanged image of its own pass: PyTorch
    adds in another order for another number of images, so that logits differ from those of an image
    alone by some 1e-6 of their size, and a change that changes nothing is still exactly 0. Before
    the first changed block all rows are the same: there one image runs for all of them, in networks
    where a trial gives the same answers as whole passes, tried for each image. Other passes on the
    device run between two of these. With ``whole`` the image is neither scaled nor cut, see
    `Network.preprocess`.

    Raises:
        NoSEBlocksError: a variant names no use of an SE block.
        EditError: a variant returned something else than one gate a channel.
        BusyError: too many wait for the device.
        TooLittleMemoryError: it has too little memory.
    """
    order = {site.name: place for place, site in enumerate(network.inspection.sites)}
    names = {name for variant in variants for name in variant}
    unknown = sorted(names - order.keys())
    if unknown:
        raise NoSEBlocksError(
            f"There is no SE block {unknown[0]!r}. Choose among: {', '.join(order)}."
        )
    inputs = network.take(image, whole=whole)
    first = min(names, key=order.__getitem__, default="")
    parts: list[Tensor] = []
    with line_of(network.device).turn(watch, sliced=True) as turn, torch.inference_mode():
        # Where no block comes before the first that changes, there is nothing to run once for all.
        spread = (
            len(variants) >= _LEAST
            and bool(order.get(first))
            and _may_spread(network, inputs, first)
        )
        rows = _rows(network, order[first] if spread else 0)
        for start in range(0, len(variants), rows):
            if start:
                report(start, len(variants))
                turn.give_way()
            parts.extend(
                _run(network, inputs, variants[start : start + rows], first if spread else "")
            )
    report(len(variants), len(variants))
    # Outside inference mode, so that the answers may be used in autograd.
    live, edited = torch.stack(parts, 1) if parts else torch.empty(2, 0, len(network.classes))
    return VariantLogits(live, edited)


def _rows(network: Network, before: int) -> int:
    """Return how many variants go into a pass whose rows begin after so many blocks: about the
    work of a whole one.
    """
    whole = _ROWS.get(network.device.type, _ROWS_ON_GPU)
    blocks = len(network.inspection.sites)
    return min(_MOST, whole * blocks // (blocks - before))


def _may_spread(network: Network, inputs: Tensor, name: str) -> bool:
    if is_watching():
        # A capture or an edit around this one counts on a row for each image.
        return False
    # Anew for each image: nothing tells whether the model is still as it was.
    return _try_spreading(network, inputs, name)


def _try_spreading(network: Network, inputs: Tensor, name: str) -> bool:
    """Return whether shut and halved gates of a use of a block change the answer alike with one
    image before it.
    """
    # Two edits that differ: how far they do is the scale on which an error is judged.
    probes = [{name: torch.zeros_like}, {name: lambda gates: gates / 2}]
    try:
        whole, spread = (_pass(network, inputs, probes, first) for first in ("", name))
    except Exception:
        # Whatever a network raises that does not multiply by broadcasting, or knows its batch from
        # before.
        return False
    change = (whole[0] - whole[1]).abs().max()
    size = whole.abs().max()
    return spread.shape == whole.shape and bool(
        (spread - whole).abs().max() <= _SLACK * change + _ROUNDING * size
    )


def _run(network: Network, inputs: Tensor, variants: Sequence[Variant], first: str) -> list[Tensor]:
    """Return logits without and with each variant, (2, classes)."""

    def run(part: Sequence[Variant]) -> list[Tensor]:
        return [*_pass(network, inputs, part, first).unbind(1)]

    return run_halving(run, variants, device=network.device, subject=network.card.title)


def _pass(
    network: Network, inputs: Tensor, variants: Sequence[Variant], first: str = ""
) -> Float[Tensor, "2 variants classes"]:
    """Run variants in one pass, whose rows begin at the use of a block named ``first``, or with
    the image.
    """
    sites = {site.name: site for site in network.inspection.sites}
    rows: dict[str, dict[int, list[tuple[int, RowEdit]]]] = defaultdict(lambda: defaultdict(list))
    # The unchanged row too has to begin there.
    for row, variant in enumerate([{first: _same} if first else {}, *variants]):
        for name, edit in variant.items():
            rows[sites[name].block][sites[name].call].append((row, edit))
    many = len(variants) + 1
    gains = {site.block: site.gain for site in sites.values()}
    edits = {
        block: plain_edit(gains[block], _by_row(block, calls, many))
        for block, calls in rows.items()
    }
    images = inputs if first else inputs.expand(many, *inputs.shape[1:])
    with edit_gates(network.model, edits, spread=True):
        logits = network.model(images).float().cpu()
    return torch.stack([logits[:1].expand(len(variants), -1), logits[1:]])


def _same(gates: Tensor) -> Tensor:
    return gates


def _by_row(
    block: str, calls: Mapping[int, list[tuple[int, RowEdit]]], rows: int
) -> Callable[[Tensor], Tensor]:
    # A block that is used twice in a pass asks twice, in the order of its uses.
    use = count()

    def edit(gates: Tensor) -> Tensor:
        changes = calls.get(next(use))
        if not changes:
            return gates
        # Of one image, where rows begin here.
        gates = gates.expand(rows, -1).clone()
        for row, change in changes:
            after = change(gates[row])
            if after.shape != gates[row].shape:
                raise EditError(
                    f"The edit of {block} returned {tuple(after.shape)} for {len(gates[row])} "
                    "channels. Return one gate for each."
                )
            gates[row] = after
        return gates

    return edit
