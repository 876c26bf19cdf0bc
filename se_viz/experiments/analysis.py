"""One image through one network: its answer and every gate, from a single forward pass."""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import pandas as pd
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from se_viz.devices import Watch, lay_out, line_of, run_halving, setting
from se_viz.gates import GateRecord, capture_gates, edit_gates
from se_viz.gates.gains import multiply_record
from se_viz.gates.hooks import is_watching
from se_viz.gates.surgery import GateEdit, compile_edits
from se_viz.gates.tables import summarise_blocks
from se_viz.networks import Network

_Changes: TypeAlias = Mapping[str, Callable[[Tensor], Tensor]]
_Item: TypeAlias = tuple[Tensor, frozenset[str]]
"""One image, and the blocks whose features it is to keep."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a network made of one image."""

    probabilities: Float[Tensor, "classes"]
    """Probabilities as of `Network.probabilities`, float32 on the CPU."""
    records: tuple[GateRecord, ...]
    """One record an SE block, batch of one, in forward order; gates are gate x gain where a
    network has a gain. None of a network without SE blocks."""
    logits: Float[Tensor, "classes"]
    """What they were made of, float32 on the CPU."""

    def record(self, name: str) -> GateRecord:
        """Return the record of one use of a block, by its name."""
        return next(record for record in self.records if record.name == name)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: best classes by their numbers, and one row a block."""
        best = pd.DataFrame(self.top(), columns=["class", "probability"])
        blocks = summarise_blocks(self.records)
        return best.to_html(index=False) + blocks.to_html(index=False, float_format="%.3f")

    def top(self, count: int = 5) -> list[tuple[int, float]]:
        """Return the most probable class indices with their probabilities, best first."""
        values, indices = self.probabilities.topk(min(count, len(self.probabilities)))
        return list(zip(indices.tolist(), values.tolist(), strict=True))


def compare_answers(
    before: Analysis, after: Analysis, classes: Sequence[str], *, count: int = 5
) -> pd.DataFrame:
    """Return one row a class that is among the ``count`` best before or after: name, probabilities
    and logits.

    Those that were best before come first, in that order, so that a class keeps its place while
    gates change.
    """
    best = dict.fromkeys(index for analysis in (before, after) for index, _ in analysis.top(count))
    index = list(best)
    return pd.DataFrame(
        {
            "class": [classes[number] for number in index],
            "before": before.probabilities[index].numpy(),
            "after": after.probabilities[index].numpy(),
            "logit_before": before.logits[index].numpy(),
            "logit_after": after.logits[index].numpy(),
        }
    )


def analyse(
    network: Network,
    image: Image.Image | Tensor,
    *,
    keep_features: Collection[str] = (),
    edits: Sequence[GateEdit] = (),
    whole: bool = False,
    watch: Watch = lambda _: None,
) -> Analysis:
    """Run an image through a network and capture every gate.

    The image may also be an input that `Network.prepare` has made of a file. Blocks named in
    ``keep_features`` keep U too.

    With ``edits`` the network runs with changed gates, and the records hold these. With ``whole``
    the image is neither scaled nor cut, see `Network.preprocess`. The pass waits for its turn
    on the device, and meanwhile calls ``watch`` with how many are before it. Images that wait for
    the same network under equal edits go into one pass, which changes the last digits: PyTorch adds
    in another order for another number of images. ``SE_VIZ_TOGETHER=1`` keeps them apart.

    Raises:
        NoSEBlocksError: ``keep_features`` names no SE block.
        EditError: an edit does not fit the network.
        BusyError: too many wait for the device.
        TooLittleMemoryError: the device has too little memory for it.
    """
    keep = frozenset([keep_features] if isinstance(keep_features, str) else keep_features)
    inputs = network.take(image, whole=whole)
    run = partial(_analyse, network, compile_edits(edits, network.inspection.sites))
    # A name that no block has must fail for this image alone.
    strange = keep.difference(*((site.block, site.name) for site in network.inspection.sites))
    kind = _kind(network, inputs, strange, tuple(edits))
    return line_of(network.device).share(
        kind, (inputs, keep), run, most=setting("SE_VIZ_TOGETHER"), watch=watch
    )


def analyse_together(
    network: Network,
    images: Sequence[Image.Image | Tensor],
    *,
    edits: Sequence[GateEdit] = (),
    whole: bool = False,
    watch: Watch = lambda _: None,
) -> list[Analysis]:
    """Run several images through a network in one pass; see `analyse`, which takes one.

    Faster than one after the other, and the same up to the last digits; one image alone is the same
    to the bit. Where memory runs out, fewer images go into one pass.

    Raises:
        EditError: an edit does not fit the network.
        BusyError: too many wait for the device.
        TooLittleMemoryError: the device has too little memory for one of them.
    """
    changes = compile_edits(edits, network.inspection.sites)
    items = [(network.take(image, whole=whole), frozenset[str]()) for image in images]
    with line_of(network.device).turn(watch):
        return _analyse(network, changes, items)


def _kind(
    network: Network, inputs: Tensor, strange: frozenset[str], edits: tuple[GateEdit, ...]
) -> Hashable:
    if is_watching():
        # Captures and edits belong to this thread: nobody else may run this, and it may run for
        # nobody else.
        return object()
    device = network.device.type
    precision = (
        torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else inputs.dtype
    )
    return network.model, inputs.shape, strange, edits, precision


def _analyse(network: Network, changes: _Changes, items: list[_Item]) -> list[Analysis]:
    run = partial(_pass, network, changes)
    return run_halving(run, items, device=network.device, subject=network.card.title)


def _pass(network: Network, changes: _Changes, items: Sequence[_Item]) -> list[Analysis]:
    gains = {site.block: site.gain for site in network.inspection.sites}
    images = [image for image, _ in items]
    keeps = [keep for _, keep in items]
    # One alone gets the digits of a plain pass.
    batch = lay_out(torch.cat(images)) if len(images) > 1 else images[0]
    with torch.inference_mode(), _capture(network, changes, keeps) as records:
        logits = network.model(batch).float().cpu()
    # Outside inference mode, so that the records may be used in autograd.
    with torch.inference_mode(False):
        shares = network.probabilities(logits)
        analyses = []
        for row, keep in enumerate(keeps):
            image_records = tuple(
                multiply_record(_row(record, row, keep), gains[record.block]) for record in records
            )
            # Cloned for the same reason as the records are in `_row`.
            analyses.append(Analysis(shares[row].clone(), image_records, logits[row].clone()))
        return analyses


@contextmanager
def _capture(
    network: Network, changes: _Changes, keeps: Collection[frozenset[str]]
) -> Iterator[Sequence[GateRecord]]:
    if network.lack:
        yield ()
        return
    blocks = {site.block for site in network.inspection.sites}
    keep = frozenset().union(*keeps)
    capture = capture_gates(network.model, keep_features=keep, blocks=blocks)
    with edit_gates(network.model, changes), capture as records:
        yield records


def _row(record: GateRecord, row: int, keep: frozenset[str]) -> GateRecord:
    # Copies: a view would keep, and store in a cache, what belongs to all.
    span = slice(row, row + 1)
    features = None
    # Those of a block that another image of the pass has asked for stay behind.
    if record.features is not None and not keep.isdisjoint((record.block, record.name)):
        features = record.features[span].clone()
    return replace(
        record,
        squeeze=record.squeeze[span].clone(),
        gate=record.gate[span].clone(),
        features=features,
    )
