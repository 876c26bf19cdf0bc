"""Many changes of one image's gates: each row of a batch carries another one, and the first carries none."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from se_viz.errors import DeviceError, EditError, NoSEBlocksError
from se_viz.gates import edit_gates
from se_viz.line import Watch
from se_viz.networks import Network
from se_viz.runtime import line_of

RowEdit: TypeAlias = Callable[[Tensor], Tensor]
"""From the gates that one use of a block computed, (channels,), to those it multiplies by."""

Variant: TypeAlias = Mapping[str, RowEdit]
"""What one row of a batch changes: for the name of a use of a block, an edit."""

Report: TypeAlias = Callable[[int, int], None]
"""Told how many rows are done, and how many there are."""

_ROWS = {"cpu": 15}
_ROWS_ON_GPU = 63
"""Variants in one pass, beside the unchanged image: on a CPU about a third of a second for an SE-ResNet-50."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a network answers to one image under each of several variants."""

    live: Float[Tensor, "variants classes"]
    """Logits of the unchanged image, each from the same pass as the variant's; float32 on the CPU."""
    edited: Float[Tensor, "variants classes"]
    """Logits under each variant; float32 on the CPU."""


def run_variants(
    network: Network,
    image: Image.Image,
    variants: Sequence[Variant],
    *,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> Answers:
    """Answer to one image under each variant: what a variant does not name is live, and reacts.

    Many go into one pass, and each is compared with the unchanged image of its own pass: PyTorch adds in
    another order for another number of images, so that logits differ from those of an image alone by some
    1e-6 of their size, and a change that changes nothing is still exactly 0. Other passes on the device run
    between two of these.

    Raises:
        NoSEBlocksError: a variant names no use of an SE block.
        EditError: a variant returned something else than one gate a channel.
        BusyError: too many wait for the device.
        DeviceError: it has too little memory.
    """
    sites = {site.name: site for site in network.inspection.sites}
    if unknown := sorted({name for variant in variants for name in variant} - sites.keys()):
        raise NoSEBlocksError(f"There is no SE block {unknown[0]!r}. Choose among: {', '.join(sites)}.")
    inputs = network.preprocess(image)
    rows = _ROWS.get(network.device.type, _ROWS_ON_GPU)
    parts: list[Tensor] = []
    with line_of(network.device).turn(watch, sliced=True) as turn, torch.inference_mode():
        for start in range(0, len(variants), rows):
            if start:
                report(start, len(variants))
                turn.give_way()
            parts.extend(_run(network, inputs, variants[start : start + rows]))
    report(len(variants), len(variants))
    # Outside inference mode, so that the answers may be used in autograd.
    live, edited = torch.cat(parts, 1).clone() if parts else torch.empty(2, 0, len(network.classes))
    return Answers(live, edited)


def _run(network: Network, inputs: Tensor, variants: Sequence[Variant]) -> Iterator[Tensor]:
    try:
        yield _pass(network, inputs, variants)
        return
    except torch.OutOfMemoryError as error:
        if len(variants) == 1:
            raise DeviceError(
                f"{network.device} has too little memory left for {network.card.title}, even with two images in a "
                "pass. Choose a smaller network, or the device cpu."
            ) from error
    # Only here, after the error and its tensors are gone.
    torch.cuda.empty_cache()
    half = len(variants) // 2
    yield from _run(network, inputs, variants[:half])
    yield from _run(network, inputs, variants[half:])


def _pass(network: Network, inputs: Tensor, variants: Sequence[Variant]) -> Float[Tensor, "2 variants classes"]:
    sites = {site.name: site for site in network.inspection.sites}
    rows: dict[str, dict[int, list[tuple[int, RowEdit]]]] = defaultdict(lambda: defaultdict(list))
    for row, variant in enumerate(variants, 1):
        for name, edit in variant.items():
            rows[sites[name].block][sites[name].call].append((row, edit))
    edits = {block: _by_row(block, calls) for block, calls in rows.items()}
    with edit_gates(network.model, edits):
        logits = network.model(inputs.expand(len(variants) + 1, -1, -1, -1)).float().cpu()
    return torch.stack([logits[:1].expand(len(variants), -1), logits[1:]])


def _by_row(block: str, calls: Mapping[int, list[tuple[int, RowEdit]]]) -> Callable[[Tensor], Tensor]:
    # A block that is used twice in a pass asks twice, in the order of its uses.
    use = count()

    def edit(gates: Tensor) -> Tensor:
        gates = gates.clone()
        for row, change in calls.get(next(use), ()):
            after = change(gates[row])
            if after.shape != gates[row].shape:
                raise EditError(
                    f"The edit of {block} returned {tuple(after.shape)} for {len(gates[row])} channels. Return one "
                    "gate for each."
                )
            gates[row] = after
        return gates

    return edit
