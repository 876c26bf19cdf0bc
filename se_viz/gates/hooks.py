"""Forward hooks on SE blocks, shared by everything that reads or changes gates; the only hooks of se_viz."""

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from se_viz.errors import CaptureError
from se_viz.gates.places import Place


@dataclass(eq=False, slots=True)
class Visit:
    """One SE block while it runs."""

    place: Place
    features: Tensor
    side: int
    call: int
    squeeze: Tensor | None = None
    logit: Tensor | None = None
    """What the gate function was given; None where it has written its output over that."""
    gate: Tensor | None = None

    @property
    def channels(self) -> int:
        """Return the number of channels of the block's input."""
        return self.features.shape[-1 if self.place.row.channels_last else 1]

    def stage(self) -> int:
        """Return log2 of the stride at the block's input.

        Raises:
            CaptureError: the model itself was not called, so that the size of its image is not known.
        """
        if not self.side:
            raise CaptureError(
                "A part of the model was run, so that no stage can be told from the size of its image. Call the model "
                "that was given to `capture_gates`, as `model(images)`."
            )
        return round(math.log2(self.side / self.features.shape[-2 if self.place.row.channels_last else -1]))


@dataclass(eq=False, slots=True)
class Watch:
    """What one ``with`` block wants to know; lives in the context of the thread that opened it."""

    model: nn.Module
    blocks: dict[nn.Module, Place]
    change: Callable[[Visit, Tensor], Tensor] | None = None
    """Is given each gate, and returns the one to go on with."""
    see: Callable[[Visit], None] | None = None
    """Is told of each gate, after every change."""
    part: Callable[[nn.Module, Tensor], None] | None = None
    """Is told of each part of a block that has no parts itself, as it has run, and what it put out."""
    leave: Callable[[Visit, Tensor], None] | None = None
    """Is told of each block's output."""
    finish: Callable[[], None] | None = None
    """Is told of the end of a pass."""
    take: Mapping[nn.Module, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    """For a module: is given its input, and returns the one to go on with."""
    give: Mapping[nn.Module, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    """For a module: is given its output, and returns the one to go on with."""
    side: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    visit: Visit | None = None


@dataclass(slots=True)
class _Hook:
    handle: RemovableHandle
    users: int = 0


# Hooks belong to the model, sessions are threads: the hooks are shared, what they write to is not.
_watches: ContextVar[tuple[Watch, ...]] = ContextVar("watches", default=())
_hooks: dict[tuple[nn.Module, Callable[..., Any]], _Hook] = {}
_lock = threading.Lock()


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Tell a watch of every pass of this thread; the hooks that no other watch needs are gone afterwards."""
    wanted = list(_wanted(watch))
    _attach(wanted)
    token = _watches.set((*_watches.get(), watch))
    try:
        yield
    finally:
        _watches.reset(token)
        _detach(wanted)


def is_watching() -> bool:
    """Return whether this thread is inside a capture or an edit: its passes are not like those of others."""
    return bool(_watches.get())


def has_others(model: nn.Module) -> bool:
    """Return whether hooks that are not of here hang on a model: they may change its passes, and a copy has none."""
    ours = {_start, _finish, _enter, _squeeze, _gate, _part, _leave, _take, _give}
    kinds = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    # Copies of the tables: other threads attach ours meanwhile.
    hung = (hook for module in model.modules() for kind in kinds for hook in [*getattr(module, kind).values()])
    return any(hook not in ours for hook in hung)


def _wanted(watch: Watch) -> Iterator[tuple[nn.Module, Callable[..., Any]]]:
    yield from ((module, _take) for module in watch.take)
    yield from ((module, _give) for module in watch.give)
    if watch.see:
        yield from ((watch.model, _start), (watch.model, _finish))
    for block, place in watch.blocks.items():
        yield from ((block, _enter), (place.gate, _gate))
        if watch.see:
            yield place.squeeze, _squeeze
        if watch.part:
            yield from ((part, _part) for part in block.modules() if not [*part.children()])
        if watch.leave:
            yield block, _leave


def _attach(wanted: list[tuple[nn.Module, Callable[..., Any]]]) -> None:
    with _lock:
        for key in wanted:
            if key not in _hooks:
                _hooks[key] = _Hook(_register(*key))
            _hooks[key].users += 1


def _detach(wanted: list[tuple[nn.Module, Callable[..., Any]]]) -> None:
    with _lock:
        for key in wanted:
            _hooks[key].users -= 1
            if not _hooks[key].users:
                _hooks.pop(key).handle.remove()


def _register(module: nn.Module, hook: Callable[..., Any]) -> RemovableHandle:
    if hook in (_start, _enter, _squeeze, _take):
        return module.register_forward_pre_hook(hook, with_kwargs=True)
    return module.register_forward_hook(hook, always_call=hook is _finish)


def _start(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    image = _first_tensor(args, kwargs)
    for watch in _watches.get():
        if watch.model is model:
            watch.side = 0 if image is None else image.shape[-1]


def _finish(model: nn.Module, *_: Any) -> None:
    for watch in _watches.get():
        if watch.model is model:
            # A later call of a part of the model must not take its stages from this image.
            watch.side = 0
            watch.calls.clear()
            # A model that is a block itself is left after this.
            watch.visit = watch.visit if watch.leave else None
            if watch.finish:
                watch.finish()


def _enter(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for watch in _watches.get():
        if (place := watch.blocks.get(block)) and (features := _first_tensor(args, kwargs)) is not None:
            watch.visit = Visit(place, features, watch.side, watch.calls[place.path])
            watch.calls[place.path] += 1


def _squeeze(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for watch in _watches.get():
        visit = watch.visit
        # Blocks may share a module: what counts is in which block it runs.
        if visit and visit.place.squeeze is module and visit.squeeze is None:
            visit.squeeze = _first_tensor(args, kwargs)


def _gate(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
    visits = [(watch, watch.visit) for watch in _watches.get() if watch.visit]
    now = [(watch, visit) for watch, visit in visits if visit.place.gate is module and visit.gate is None]
    gate = output
    for watch, visit in now:
        gate = watch.change(visit, gate) if watch.change else gate
    for watch, visit in now:
        visit.logit = None if args[0] is output else args[0]
        visit.gate = gate
        if watch.see:
            watch.see(visit)
    # A hook that returns something replaces the output, so an unchanged gate is not returned.
    return None if gate is output else gate


def _part(module: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
    for watch in _watches.get():
        if watch.part and watch.visit:
            watch.part(module, output)


def _leave(block: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
    for watch in _watches.get():
        if watch.leave and watch.visit and watch.blocks.get(block) is watch.visit.place:
            watch.leave(watch.visit, output)
            watch.visit = None


def _take(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for watch in _watches.get():
        if change := watch.take.get(module):
            name = next(iter(kwargs), "")
            args, kwargs = (
                ((change(args[0]), *args[1:]), kwargs) if args else ((), kwargs | {name: change(kwargs[name])})
            )
    return args, kwargs


def _give(module: nn.Module, _: tuple[Any, ...], output: Any) -> Any:
    for watch in _watches.get():
        if change := watch.give.get(module):
            output = change(output)
    return output


def _first_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    values = [*args, *kwargs.values()]
    # Detectors take a list of images.
    values += [item for value in values if isinstance(value, (list, tuple)) for item in value]
    return next((value for value in values if isinstance(value, Tensor)), None)
