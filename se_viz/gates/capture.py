"""Forward hooks that read squeeze and gate of every SE block; the only hooks of se_viz."""

import math
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from se_viz.errors import CaptureError, NoSEBlocksError
from se_viz.gates.records import GateRecord, GateSite
from se_viz.gates.spellings import SPELLINGS, Spelling, spelling_of


@dataclass(frozen=True, slots=True)
class _Seen:
    """Copies of one block's tensors, on its device until the pass is over."""

    block: str
    stage: int
    squeeze: Tensor
    gate: Tensor
    features: Tensor | None


@dataclass(eq=False, slots=True)
class _Collector:
    """What one ``with`` block gathers; lives in the context of the thread that opened it."""

    model: nn.Module
    keep: frozenset[str]
    records: list[GateRecord] = field(default_factory=list)
    side: int = 0
    inputs: dict[str, Tensor] = field(default_factory=dict)
    squeezes: dict[str, Tensor] = field(default_factory=dict)
    seen: list[_Seen] = field(default_factory=list)


@dataclass(slots=True)
class _Hooked:
    """The hooks on one model and how many captures need them."""

    hooks: ExitStack
    users: int = 0


# Hooks belong to the model, sessions are threads: the hooks are shared, what they write to is not.
_collectors: ContextVar[tuple[_Collector, ...]] = ContextVar("collectors", default=())
_hooked: WeakKeyDictionary[nn.Module, _Hooked] = WeakKeyDictionary()
_lock = threading.Lock()


@contextmanager
def capture_gates(model: nn.Module, *, keep_features: Collection[str] = ()) -> Iterator[list[GateRecord]]:
    """Record squeeze and gate of every SE block in each forward pass.

    Yields a list that grows by one record a block and pass, in forward order; the batch axis is the one of
    the pass. Values equal what the block computed, bit for bit, as float32 on the CPU, without gradient.
    Blocks named in ``keep_features`` also keep their input U. The model's output does not change, and its
    hooks are gone afterwards. Only passes of the thread that opened the ``with`` block are recorded, so
    several threads can capture from one model. Source: Hu et al., arXiv 1709.01507, eqs. 2 to 4.

    Raises:
        NoSEBlocksError: the model has no SE block that se_viz knows or that ``keep_features`` names, or it
            is compiled.
        CaptureError: inside the block, a part of the model was run instead of the model itself.
    """
    keep = [keep_features] if isinstance(keep_features, str) else keep_features
    collector = _Collector(model, frozenset(keep))
    _hook(model, collector.keep)
    token = _collectors.set((*_collectors.get(), collector))
    try:
        yield collector.records
    finally:
        _collectors.reset(token)
        _unhook(model)


def find_gates(model: nn.Module, *, size: int = 224) -> tuple[GateSite, ...]:
    """Find every SE block of a model, in forward order, by one pass of a black image of side ``size``.

    The model's mode is restored, and nothing it learned changes.

    Raises:
        NoSEBlocksError: the model has no SE block that se_viz knows, or it is compiled.
    """
    modes = {module: module.training for module in model.modules()}
    like = next(model.parameters(), torch.zeros(()))
    try:
        # Evaluation mode: in training the norms would learn from the black image.
        with torch.no_grad(), capture_gates(model) as records:
            model.eval()(torch.zeros(1, 3, size, size, device=like.device, dtype=like.dtype))
    finally:
        for module, mode in modes.items():
            module.training = mode
    return tuple(_site(model, record) for record in records)


def _site(model: nn.Module, record: GateRecord) -> GateSite:
    block = model.get_submodule(record.block)
    function = type(block.get_submodule(_row(block).gate)).__name__
    return GateSite(record.block, record.stage, record.gate.shape[1], function)


def _row(block: nn.Module) -> Spelling:
    row = spelling_of(block)
    assert row is not None
    return row


def _blocks(model: nn.Module) -> dict[str, nn.Module]:
    blocks = {path: module for path, module in model.named_modules() if spelling_of(module)}
    # The name that `torch.compile` gives what it wraps: the model itself, or a part of it.
    if any("_orig_mod" in path.split(".") for path in blocks):
        raise NoSEBlocksError(
            "A compiled model ignores hooks that come after its first call. Capture from the model you compiled."
        )
    if not blocks:
        known = ", ".join(f"{row.kind.__module__}.{row.kind.__qualname__}" for row in SPELLINGS)
        raise NoSEBlocksError(
            f"{type(model).__name__} has no squeeze-and-excitation block that se_viz knows (it looks for {known}). "
            "If yours is written another way, add one row to `se_viz.gates.SPELLINGS`."
        )
    return blocks


def _hook(model: nn.Module, keep: frozenset[str]) -> None:
    with _lock:
        blocks = _blocks(model)
        if unknown := sorted(keep - blocks.keys()):
            raise NoSEBlocksError(f"There is no SE block {unknown[0]!r}. Choose among: {', '.join(blocks)}.")
        if model not in _hooked:
            _hooked[model] = _Hooked(_attach(model, blocks))
        _hooked[model].users += 1


def _unhook(model: nn.Module) -> None:
    with _lock:
        _hooked[model].users -= 1
        if not _hooked[model].users:
            _hooked.pop(model).hooks.close()


def _attach(model: nn.Module, blocks: dict[str, nn.Module]) -> ExitStack:
    with ExitStack() as hooks:
        hooks.callback(model.register_forward_pre_hook(_see_image, with_kwargs=True).remove)
        hooks.callback(model.register_forward_hook(_finish_pass, always_call=True).remove)
        for path, block in blocks.items():
            row = _row(block)
            hooks.callback(block.register_forward_pre_hook(_see_input(model, path)).remove)
            squeeze = block.get_submodule(row.squeeze)
            hooks.callback(squeeze.register_forward_pre_hook(_see_squeeze(model, path)).remove)
            gate = block.get_submodule(row.gate)
            hooks.callback(gate.register_forward_hook(_see_gate(model, path)).remove)
        # Kept only now: a row that fits no child leaves no hook behind.
        return hooks.pop_all()


def _mine(model: nn.Module) -> list[_Collector]:
    return [collector for collector in _collectors.get() if collector.model is model]


def _see_image(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    image = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
    for collector in _mine(model):
        collector.side = 0 if image is None else image.shape[-1]


def _finish_pass(model: nn.Module, *_: Any) -> None:
    for collector in _mine(model):
        # Once a pass, not once a block: on a GPU every copy waits for the device.
        with torch.inference_mode(False), torch.no_grad():
            collector.records.extend(map(_record, collector.seen))
        collector.seen.clear()
        # A later call of a part of the model must not take its stages from this image.
        collector.side = 0


def _record(seen: _Seen) -> GateRecord:
    squeeze, gate = _copied(seen.squeeze).flatten(1), _copied(seen.gate).flatten(1)
    return GateRecord(seen.block, seen.stage, squeeze, gate, seen.features)


def _see_input(model: nn.Module, path: str):
    def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
        for collector in _mine(model):
            collector.inputs[path] = args[0]

    return hook


def _see_squeeze(model: nn.Module, path: str):
    def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
        for collector in _mine(model):
            collector.squeezes[path] = args[0]

    return hook


def _see_gate(model: nn.Module, path: str):
    def hook(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        for collector in _mine(model):
            features = collector.inputs.pop(path)
            stage = _stage(collector.side, features.shape[-1])
            kept = _kept(features) if path in collector.keep else None
            # Cloned where they are: what comes next may work in place.
            squeeze, gate = collector.squeezes.pop(path).detach().clone(), output.detach().clone()
            collector.seen.append(_Seen(path, stage, squeeze, gate, kept))

    return hook


def _stage(image: int, features: int) -> int:
    if not image:
        raise CaptureError(
            "A part of the model was run, so that no stage can be told from the size of its image. Call the model that "
            "was given to `capture_gates`, as `model(images)`."
        )
    return round(math.log2(image / features))


def _kept(features: Tensor) -> Tensor:
    # At once: later layers may write into the feature map.
    with torch.inference_mode(False), torch.no_grad():
        return _copied(features)


def _copied(value: Tensor) -> Tensor:
    # A copy on the CPU too, made outside inference mode, so that the record may be used in autograd.
    return value.detach().to(device="cpu", dtype=torch.float32, copy=True)
