"""Squeeze and gate of every SE block, recorded while the model runs.

Why: docs/decisions/005-records-are-copies.md
"""

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import get_ident

import torch
from torch import Tensor, nn
from torch._C._functorch import get_unwrapped, is_batchedtensor, is_functorch_wrapped_tensor
from torch._subclasses.fake_tensor import FakeTensor

from se_viz.errors import CaptureError, CaptureWarning, NoSEBlocksError
from se_viz.gates.choice import Choice, choose, modules_inside, say_nothing
from se_viz.gates.compiled import find_traced
from se_viz.gates.following import Product as Followed
from se_viz.gates.following import conclude, keep_findings
from se_viz.gates.hooks import listening
from se_viz.gates.listeners import Listener, Run, Visit
from se_viz.gates.places import Place
from se_viz.gates.products import Product, expect, find_wrong, meet, plain
from se_viz.gates.records import GateRecord, GateRecords, use_name
from se_viz.gates.reports import check_all_passes, check_first_pass, say_without_gate

_LEAVE_OUT = "Leave it out: `inspect_gates` names the blocks that `blocks=` may hold."


@dataclass(frozen=True, slots=True)
class _Copy:
    """Copies of one block's tensors, on its device until the pass is over."""

    path: str
    stage: int
    call: int
    axes: int
    pair: Tensor
    features: Tensor | None


@dataclass(eq=False, slots=True)
class _Collector:
    """What one ``with`` block gathers."""

    keep: frozenset[str]
    records: GateRecords = field(default_factory=GateRecords)
    followed: list[Followed] = field(default_factory=list)
    """The products of a pass that shows what the model has."""

    def see(self, visit: Visit) -> None:
        path = visit.place.path
        stage = visit.stage()
        keeps_features = not self.keep.isdisjoint((path, use_name(path, visit.call)))
        squeeze, gate = read_pair(visit)
        # Compared with the block's output when the block is left.
        visit.expected = expect(visit, gate)
        # Copied where they are: what comes next may work in place.
        pair = torch.stack((squeeze, gate)).detach()
        _check_numbers(visit.place, pair)
        assert visit.run is not None
        if visit.product:
            self.followed.append(Followed(visit.place, visit.product.origin.parts))
        features = _copy_features(visit) if keeps_features else None
        visit.run.notes.append(_Copy(path, stage, visit.call, visit.axes, pair, features))

    def leave(self, visit: Visit, output: object) -> None:
        if visit.gate is None:
            gate = visit.place.row.gate
            words = say_without_gate(visit.place)
            raise CaptureError(
                f"{_name(visit.place)} ran, but not what makes its gate, {gate!r}. {words}"
            )
        if visit.run and visit.expected is not None:
            visit.run.notes.append(meet(visit, output))

    def settle(self, listener: Listener, run: Run) -> None:
        """Keep what a pass has shown for later ones, and of its notes those on blocks alone."""
        read = {place.path for place in listener.blocks.values()}
        findings = conclude(listener, self.followed, read)
        self.followed.clear()
        if _ran_whole(listener):
            keep_findings(listener.model, findings)
        paths = read | findings.found.keys()
        run.notes = [note for note in run.notes if note.path in paths]

    def finish(self, run: Run) -> None:
        if wrong := find_wrong(note for note in run.notes if isinstance(note, Product)):
            raise CaptureError(
                f"{_name(wrong[0])} puts out something else than its input times its gate, which "
                f"no SE block does. {_LEAVE_OUT}"
            )
        if copies := [note for note in run.notes if isinstance(note, _Copy)]:
            self.records.extend(_make_records(copies))


@contextmanager
def capture_gates(
    model: nn.Module, *, keep_features: Collection[str] = (), blocks: Collection[str] | None = None
) -> Iterator[list[GateRecord]]:
    """Record squeeze and gate of every SE block in each forward pass.

    Yields a list that grows by one record a use of a block, in forward order, at the end of each
    pass; the batch axis is the one of the pass. Values equal what the block computed, bit for bit,
    as float32 on the CPU, without gradient. Blocks named in ``keep_features`` also keep their input
    U. ``blocks`` leaves out all that it does not name, such as those that `inspect_gates` refuses.
    The model's output does not change, and its hooks are gone afterwards, in whatever order, thread
    or generator ``with`` blocks end. Source: Hu et al., arXiv 1709.01507, eqs. 2 to 4.

    In each pass every block's output is compared with its input times its gate at a few places of
    the map. A pass that raises leaves no records. Only passes of the thread that opened the
    ``with`` block are recorded, so several threads can capture from one model. What gradient
    checkpointing runs again on the way back is no pass. A block that ran in none of the passes, as
    after an early exit, is named in a `CaptureWarning` at the end; so is compiled code that has run
    in the model, beside which blocks of known classes alone are looked for.

    Raises:
        NoSEBlocksError: the model has no SE block that se_viz knows or that ``keep_features`` or
            ``blocks`` names, or one of them is compiled.
        CaptureError: inside the ``with`` block, a part of the model was run instead of the model
            itself, a block turned out not to be of its spelling or not to multiply by its gate, or
            no block reported in a pass. At its end, a block reported in no pass although it ran, in
            compiled code or in another thread.
    """
    keep = frozenset([keep_features] if isinstance(keep_features, str) else keep_features)
    opener = get_ident()
    with collecting(model, keep=keep, blocks=blocks) as capture:
        yield capture.records
    listener = capture.listener
    if listener.discover and not listener.passes and not listener.elsewhere:
        _check_found(listener, capture.choice)
    check_all_passes(listener, opener, CaptureError, strict=False)
    if capture.traced:
        # Past the context manager, to the caller's own `with`.
        warnings.warn(CaptureWarning(capture.traced), stacklevel=3)


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """What one capture gathers, and who is told of it."""

    records: GateRecords
    listener: Listener
    choice: Choice
    traced: str
    """Where compiled code has run, beside which nothing is followed; empty where none has."""


@contextmanager
def collecting(
    model: nn.Module,
    *,
    keep: frozenset[str] = frozenset(),
    blocks: Collection[str] | None = None,
    noise: bool = True,
) -> Iterator[Capture]:
    """Record as `capture_gates` does, and leave it to the caller what to say at the end.

    Without ``noise`` the caller's own passes alone show which blocks there are.

    Raises:
        NoSEBlocksError: as of `capture_gates`.
        CaptureError: as of `capture_gates`, inside the ``with`` block.
    """
    names = (name.partition("#")[0] for name in keep)
    choice = choose(model, blocks, also=names, noise=noise)
    collector = _Collector(keep)
    listener = Listener(model, choice.blocks, see=collector.see, leave=collector.leave, stages=True)
    follow = blocks is None and not choice.complete
    traced = find_traced(model) if follow else {}
    listener.discover = follow and not traced
    listener.skip = _read_already(model, choice) if listener.discover else frozenset()

    def finish(run: Run) -> None:
        if listener.discover:
            collector.settle(listener, run)
            _check_found(listener, choice)
        check_first_pass(listener, CaptureError)
        collector.finish(run)

    listener.finish = finish
    with listening(listener):
        yield Capture(collector.records, listener, choice, next(iter(traced.values()), ""))


def _read_already(model: nn.Module, choice: Choice) -> frozenset[nn.Module]:
    """Return the modules in which nothing is to be found: blocks of a known class, and what is
    known to be none.
    """
    paths = [place.path for place in choice.scan.blocks.values()]
    return modules_inside(model, [*paths, *choice.scan.attentions])


def _ran_whole(listener: Listener) -> bool:
    """Return whether a pass left no layer out, as an early exit does: another may show more."""
    return all(
        module in listener.counts or isinstance(module, torch.jit.ScriptModule)
        for module in listener.paths
        if module._parameters
    )


def _check_found(listener: Listener, choice: Choice) -> None:
    if not listener.blocks and not listener.reported:
        raise NoSEBlocksError(say_nothing(listener.model, choice.scan))


def read_pair(visit: Visit) -> tuple[Tensor, Tensor]:
    """Return squeeze and gate of one block as (batch, channels) each, on their device.

    Raises:
        CaptureError: there is not one value of each for every channel of the block's input.
    """
    features = visit.features
    if visit.squeeze is None or visit.gate is None:
        raise CaptureError(
            f"{_name(visit.place)} made its gate before its squeeze was seen, which no SE block "
            f"does. {_LEAVE_OUT}"
        )
    squeeze = plain(visit.squeeze)
    gate = plain(visit.gate)
    if visit.place.row.padding:
        # A convolution over channels is given some twice, around the rest: they are cut off.
        margin = getattr(visit.place.block, visit.place.row.padding)
        if margin:
            squeeze = squeeze[..., margin:-margin]
    count = features.shape[0] * visit.channels
    if features.ndim < 3 or squeeze.numel() != count or gate.numel() != count:
        shapes = ", ".join(str(tuple(value.shape)) for value in (features, squeeze, gate))
        raise CaptureError(
            f"{_name(visit.place)} has input, squeeze and gate of the shapes {shapes}, which no SE "
            f"block has. {_LEAVE_OUT}"
        )
    shape = (len(features), visit.channels)
    return squeeze.reshape(shape), gate.reshape(shape)


def _check_numbers(place: Place, values: Tensor) -> None:
    """Refuse tensors that hold no numbers, or those of several passes in one.

    Raises:
        CaptureError: they do.
    """
    while is_functorch_wrapped_tensor(values):
        if is_batchedtensor(values):
            raise CaptureError(
                f"{_name(place)} ran under `torch.vmap`, where one pass stands for many and its "
                "gates have no batch axis of their own. Call the model on a whole batch: its gates "
                "are one row an image."
            )
        values = get_unwrapped(values)
    if values.is_meta or isinstance(values, FakeTensor):
        raise CaptureError(
            f"{_name(place)} ran on shapes alone, which have no values to record. Load the model's "
            "weights to a device, and give it an image there."
        )


def _bare(values: Tensor) -> Tensor:
    """Return the tensor inside of what `torch.func` wraps around everything that is computed in
    it.
    """
    while is_functorch_wrapped_tensor(values):
        values = get_unwrapped(values)
    return values


def _name(place: Place) -> str:
    return f"{place.path} ({place.row.form})"


def _copy_features(visit: Visit) -> Tensor:
    # At once: later layers may write into the feature map.
    with torch.inference_mode(False), torch.no_grad():
        features = plain(visit.features.detach()).to(device="cpu", dtype=torch.float32, copy=True)
    return _bare(features.movedim(-1, 1) if visit.place.row.channels_last else features)


def _make_records(copies: list[_Copy]) -> Iterator[GateRecord]:
    # Once a pass, in one piece: on a GPU every copy waits for the device. Outside inference mode,
    # so that the records may be used in autograd.
    with torch.inference_mode(False), torch.no_grad():
        device = copies[0].pair.device
        flat = torch.cat([copy.pair.to(device).flatten() for copy in copies]).to(
            "cpu", torch.float32
        )
        pairs = flat.split([copy.pair.numel() for copy in copies])
        for copy, pair in zip(copies, pairs, strict=True):
            squeeze, gate = map(_bare, pair.view(copy.pair.shape))
            yield GateRecord(
                copy.path, copy.stage, squeeze, gate, copy.features, copy.call, axes=copy.axes
            )
