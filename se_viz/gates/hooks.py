"""Forward hooks on SE blocks, shared by everything that reads or changes gates.

The only hooks of se_viz.

Why: docs/decisions/003-one-model-many-sessions.md
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.compiler import is_dynamo_compiling
from torch.utils.hooks import RemovableHandle

from se_viz.errors import SeVizError
from se_viz.gates.compiled import Eagerly, compiled_around, is_compiled_in_place
from se_viz.gates.following import Follower
from se_viz.gates.listeners import Listener, Run, Visit
from se_viz.gates.open_listeners import (
    add_listener,
    listeners_everywhere,
    listeners_here,
    remove_listener,
)
from se_viz.gates.openings import begin_openings, close_openings, end_openings
from se_viz.gates.strides import Images, candidates, has_script, remember, tensors_in


@dataclass(slots=True)
class _Hook:
    handle: RemovableHandle | Eagerly
    users: int = 0


# Hooks belong to the model, sessions are threads: the hooks are shared, what they write to is not.
_hooks: dict[tuple[nn.Module, Callable[..., Any]], _Hook] = {}
_lock = threading.RLock()
_changes: deque[tuple[int, list[tuple[nn.Module, Callable[..., Any]]]]] = deque()
_changing = False


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell a listener of every pass of this thread.

    The hooks that no other listener needs are gone afterwards.

    It may end before one that was opened inside it, and in another thread or context than it was
    opened in.
    """
    if listener.stages:
        listener.opaque = has_script(listener.model)
        listener.stems = candidates(listener.model, listener.blocks)
        listener.around = compiled_around(listener.model, listener.stems.values())
    _prepare_to_follow(listener)
    if listener.take or listener.give or listener.discover:
        # Any of them may hold a module that is tapped.
        listener.around = {
            module
            for module in listener.model.modules()
            if not isinstance(module, torch.jit.ScriptModule) and is_compiled_in_place(module)
        }
    keys = list(_list_keys(listener))
    _count(1, keys)
    add_listener(listener)
    try:
        yield
    finally:
        close_openings(listener, partial(_count, -1, [(listener.model, _end)]))
        remove_listener(listener)
        if not listeners_here():
            _follower.end()
        _count(-1, keys)


def _prepare_to_follow(listener: Listener) -> None:
    if listener.discover:
        listener.paths = {module: path for path, module in listener.model.named_modules()}
    flows = [place.flow for place in listener.blocks.values() if place.flow]
    listener.scopes = {flow.scope: flow.inputs for flow in flows}


def is_watching() -> bool:
    """Return whether this thread is inside a capture or an edit: its passes are not like those of
    others.
    """
    return any(listeners_here())


def has_foreign_hooks(model: nn.Module) -> bool:
    """Return whether hooks that are not of here hang on a model: they may change its passes, and a
    copy has none.
    """
    ours = {
        _start,
        _finish,
        _stem,
        _enter,
        _squeeze,
        _gate,
        _part,
        _leave,
        _take,
        _give,
        _into,
        _out,
        _begin,
        _end,
    }
    kinds = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    # Copies of the tables: other threads attach ours meanwhile.
    hooks = (
        hook
        for module in model.modules()
        for kind in kinds
        for hook in [*getattr(module, kind).values()]
    )
    return any(hook not in ours for hook in hooks)


def _list_keys(listener: Listener) -> Iterator[tuple[nn.Module, Callable[..., Any]]]:
    if listener.begin:
        yield listener.model, _begin
    yield from ((module, _take) for module in listener.take)
    yield from ((module, _give) for module in listener.give)
    # No hook sees what TorchScript does inside.
    followed = {
        module for module in listener.paths if not isinstance(module, torch.jit.ScriptModule)
    }
    if listener.blocks or listener.discover:
        yield from ((listener.model, _start), (listener.model, _finish))
    yield from ((module, _run_eagerly) for module in listener.around)
    yield from ((module, _stem) for module in listener.stems)
    for block, place in listener.blocks.items():
        yield from ((part, _run_eagerly) for part in place.compiled)
        if listener.part:
            yield from ((part, _part) for part in block.modules() if not [*part.children()])
        if place.flow:
            followed.update((block, place.flow.scope))
            continue
        yield from ((block, _enter), (place.gate, _gate))
        if listener.see:
            yield place.squeeze, _squeeze
        if listener.leave:
            yield block, _leave
    for module in followed:
        yield from ((module, _into), (module, _out))


def _count(step: int, keys: list[tuple[nn.Module, Callable[..., Any]]]) -> None:
    """Add one user to each hook or take one away.

    Hooks come with their first and go with their last.
    """
    global _changing
    _changes.append((step, keys))
    with _lock:
        # A generator that is collected in the midst of this ends its capture here: its turn comes
        # after.
        if _changing:
            return
        _changing = True
        try:
            while _changes:
                _apply(*_changes.popleft())
        finally:
            _changing = False


def _apply(step: int, keys: list[tuple[nn.Module, Callable[..., Any]]]) -> None:
    for key in keys:
        if key not in _hooks:
            _hooks[key] = _Hook(_register(*key))
        _hooks[key].users += step
        if not _hooks[key].users:
            _hooks.pop(key).handle.remove()


def _register(module: nn.Module, hook: Callable[..., Any]) -> RemovableHandle | Eagerly:
    if hook is _run_eagerly:
        return Eagerly(module, partial(hook, module))
    for table in (module._forward_pre_hooks, module._forward_hooks):
        # A copy that was made while the original was watched has the same hook, and would run it
        # twice.
        for key in [key for key, registered in table.items() if registered is hook]:
            del table[key]
    if hook is _begin:
        # First: what it opens is to be told by the hooks that come after.
        return module.register_forward_pre_hook(hook, with_kwargs=True, prepend=True)
    if hook in (_start, _stem, _enter, _squeeze, _take, _into):
        return module.register_forward_pre_hook(hook, with_kwargs=True)
    if hook is _out:
        # First: what other hooks do is no part of the module's own code.
        return module.register_forward_hook(hook, always_call=True, prepend=True, with_kwargs=True)
    # A block's own output is looked at, and not what others make of it.
    always = hook in (_finish, _end)
    return module.register_forward_hook(hook, always_call=always, prepend=hook is _leave)


def _run_eagerly(module: nn.Module) -> bool:
    if is_dynamo_compiling():
        return False
    listeners = listeners_here()
    if any(module in listener.around for listener in listeners):
        return True
    return any(
        module in place.compiled for listener in listeners for place in listener.blocks.values()
    )


def _is_again() -> bool:
    # Inside the way back: gradient checkpointing runs parts of the model once more there.
    return torch._C._current_graph_task_id() != -1


def _begin(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not _is_again():
        begin_openings(model, args, kwargs, partial(_count, 1, [(model, _end)]))


def _end(model: nn.Module, *_: Any) -> None:
    if not _is_again():
        end_openings(model, partial(_count, -1, [(model, _end)]))


def _start(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    _note_elsewhere(model)
    for listener in listeners_here():
        if listener.model is model and not _is_again():
            tensors = list(tensors_in((args, kwargs))) if listener.stages else []
            listener.runs.append(Run(Images(tensors, listener.opaque), sys.exception()))


def _note_elsewhere(model: nn.Module) -> None:
    if is_dynamo_compiling():
        return
    thread = threading.get_ident()
    if any(listener.model is model for listener in listeners_here()):
        # This thread has a listener of its own, so that its passes are not meant for another one's.
        return
    for listener in listeners_everywhere():
        if listener.thread not in (0, thread) and listener.model is model:
            listener.elsewhere = True


def _finish(model: nn.Module, *_: Any) -> None:
    problems: list[SeVizError] = []
    for listener in listeners_here():
        if listener.model is not model or not listener.runs or _is_again():
            continue
        run = listener.runs.pop()
        listener.visit = None
        # The pass raised: the hook is called all the same, and such a pass leaves nothing behind.
        if sys.exception() is not run.handled:
            continue
        listener.passes += 1
        if listener.stages:
            remember(model, run.images)
        try:
            if listener.finish:
                listener.finish(run)
        except SeVizError as problem:
            # Every listener is told of the end before one of them complains.
            problems.append(problem)
    if problems:
        raise problems[0]


def _into(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not is_dynamo_compiling():
        _follower.enter(module, (args, kwargs))


def _out(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
    if not is_dynamo_compiling():
        _follower.leave(module, (args, kwargs), output)


def _stem(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    features = _first_tensor(args, kwargs)
    for listener in listeners_here():
        path = listener.stems.get(module)
        if listener.runs and features is not None and path is not None and not _is_again():
            listener.runs[-1].images.meet(path, module, features)


def _enter(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for listener in listeners_here():
        place = listener.blocks.get(block)
        features = _first_tensor(args, kwargs)
        if place is None or features is None:
            continue
        again = _is_again()
        run = listener.runs[-1] if listener.runs and not again else None
        call = run.calls[place.path] if run else 0
        listener.visit = Visit(place, features, run, call, again)
        if run:
            run.calls[place.path] += 1


def _squeeze(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for listener in listeners_here():
        visit = listener.visit
        # Blocks may share a module: what counts is in which block it runs.
        if visit and visit.place.squeeze is module and visit.squeeze is None:
            visit.squeeze = _first_tensor(args, kwargs)


def _gate(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
    visits = [(listener, listener.visit) for listener in listeners_here() if listener.visit]
    # Blocks may share their gate function, and run it again: the first output in a block counts.
    now = [
        (listener, visit)
        for listener, visit in visits
        if visit.place.gate is module and visit.gate is None
    ]
    gate = output
    for listener, visit in now:
        gate = listener.change(visit, gate) if listener.change else gate
    for listener, visit in now:
        visit.logit = None if args[0] is output else args[0]
        visit.gate = gate
        listener.reported.add(visit.place.block)
        if listener.see and not visit.again:
            listener.see(visit)
    # A hook that returns something replaces the output, so an unchanged gate is not returned.
    return None if gate is output else gate


def _part(module: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
    for listener in listeners_here():
        if listener.part and listener.visit:
            listener.part(module, output)


def _leave(block: nn.Module, _: tuple[Any, ...], output: Any) -> None:
    for listener in listeners_here():
        if listener.visit and listener.blocks.get(block) is listener.visit.place:
            visit = listener.visit
            listener.visit = None
            if listener.leave and not visit.again:
                listener.leave(visit, output)


def _take(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for listener in listeners_here():
        if change := listener.take.get(module):
            # The input may be passed by its name.
            if args:
                args = (change(args[0]), *args[1:])
            else:
                name = next(iter(kwargs), "")
                kwargs = kwargs | {name: change(kwargs[name])}
    return args, kwargs


def _give(module: nn.Module, _: tuple[Any, ...], output: Any) -> Any:
    for listener in listeners_here():
        if change := listener.give.get(module):
            output = change(output)
    return output


def _first_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    if args and isinstance(args[0], Tensor):
        return args[0]
    return next(tensors_in((args, kwargs)), None)


_follower = Follower(listeners_here, _is_again)
