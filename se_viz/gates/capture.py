"""Squeeze and gate of every SE block, recorded while the model runs."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from se_viz.errors import CaptureError
from se_viz.gates.hooks import Visit, Watch, watching
from se_viz.gates.places import choose_blocks
from se_viz.gates.records import GateRecord, use_name

_WRONG = "{}, which no SE block has. Leave it out: `inspect_gates` names the blocks that `blocks=` may hold."


@dataclass(frozen=True, slots=True)
class _Seen:
    """Copies of one block's tensors, on its device until the pass is over."""

    block: str
    stage: int
    call: int
    pair: Tensor
    features: Tensor | None


@dataclass(eq=False, slots=True)
class _Collector:
    """What one ``with`` block gathers."""

    keep: frozenset[str]
    records: list[GateRecord] = field(default_factory=list)
    seen: list[_Seen] = field(default_factory=list)

    def see(self, visit: Visit) -> None:
        path, stage = visit.place.path, visit.stage()
        wanted = not self.keep.isdisjoint((path, use_name(path, visit.call)))
        # Copied where they are: what comes next may work in place.
        pair = torch.stack(read_pair(visit)).detach()
        self.seen.append(_Seen(path, stage, visit.call, pair, _kept(visit) if wanted else None))

    def finish(self) -> None:
        seen, self.seen = self.seen, []
        if seen:
            self.records.extend(_records(seen))


@contextmanager
def capture_gates(
    model: nn.Module, *, keep_features: Collection[str] = (), blocks: Collection[str] | None = None
) -> Iterator[list[GateRecord]]:
    """Record squeeze and gate of every SE block in each forward pass.

    Yields a list that grows by one record a use of a block, in forward order, at the end of each pass; the
    batch axis is the one of the pass. Values equal what the block computed, bit for bit, as float32 on the
    CPU, without gradient. Blocks named in ``keep_features`` also keep their input U. ``blocks`` leaves out all
    that it does not name, such as those that `inspect_gates` refuses. The model's output does not change, and
    its hooks are gone afterwards. Only passes of the thread that opened the ``with`` block are recorded, so
    several threads can capture from one model. Source: Hu et al., arXiv 1709.01507, eqs. 2 to 4.

    Raises:
        NoSEBlocksError: the model has no SE block that se_viz knows or that ``keep_features`` or ``blocks``
            names, or it is compiled.
        CaptureError: inside the ``with`` block, a part of the model was run instead of the model itself, or a
            block turned out not to be of its spelling.
    """
    keep = frozenset([keep_features] if isinstance(keep_features, str) else keep_features)
    chosen = choose_blocks(model, blocks, also=(name.partition("#")[0] for name in keep))
    collector = _Collector(keep)
    with watching(Watch(model, chosen, see=collector.see, finish=collector.finish)):
        yield collector.records


def read_pair(visit: Visit) -> tuple[Tensor, Tensor]:
    """Return squeeze and gate of one block as (batch, channels) each, on their device.

    Raises:
        CaptureError: there is not one value of each for every channel of the block's input.
    """
    features, squeeze, gate = visit.features, visit.squeeze, visit.gate
    block = f"{visit.place.path} ({visit.place.row.form})"
    if squeeze is None or gate is None:
        raise CaptureError(f"{block} {_WRONG.format('made its gate before its squeeze was seen')}")
    if cut := getattr(visit.place.block, visit.place.row.padding) if visit.place.row.padding else 0:
        squeeze = squeeze[..., cut:-cut]
    count = features.shape[0] * visit.channels
    if features.ndim != 4 or squeeze.numel() != count or gate.numel() != count:
        shapes = ", ".join(str(tuple(value.shape)) for value in (features, squeeze, gate))
        raise CaptureError(f"{block} {_WRONG.format(f'has input, squeeze and gate of the shapes {shapes}')}")
    return squeeze.reshape(len(features), -1), gate.reshape(len(features), -1)


def _kept(visit: Visit) -> Tensor:
    # At once: later layers may write into the feature map.
    with torch.inference_mode(False), torch.no_grad():
        features = visit.features.detach().to(device="cpu", dtype=torch.float32, copy=True)
    return features.movedim(-1, 1) if visit.place.row.channels_last else features


def _records(seen: list[_Seen]) -> Iterator[GateRecord]:
    # Once a pass, in one piece: on a GPU every copy waits for the device. Outside inference mode, so that
    # the records may be used in autograd.
    with torch.inference_mode(False), torch.no_grad():
        device = seen[0].pair.device
        flat = torch.cat([one.pair.to(device).flatten() for one in seen]).to("cpu", torch.float32)
        pairs = flat.split([one.pair.numel() for one in seen])
        for one, pair in zip(seen, pairs, strict=True):
            squeeze, gate = pair.view(one.pair.shape)
            yield GateRecord(one.block, one.stage, squeeze, gate, one.features, one.call)
