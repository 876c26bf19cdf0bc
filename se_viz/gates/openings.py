"""Listeners that another one opens for a single pass, as it begins, and that end with it."""

import sys
from collections.abc import Callable
from typing import Any

from torch import nn

from se_viz.gates.listeners import Listener, Opening
from se_viz.gates.open_listeners import listeners_here, remove_listener


def begin_openings(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], hang: Callable[[], None]
) -> None:
    """Ask the listeners of this thread what they open for a pass that begins.

    ``hang`` is called for each that opens something, and hangs the hook that calls `end_openings`.
    """
    for listener in listeners_here():
        if listener.model is not model or not listener.begin:
            continue
        if running := _running(listener):
            running.depth += 1
        else:
            _open(listener, args, kwargs, hang)


def end_openings(model: nn.Module, unhang: Callable[[], None]) -> None:
    """End what was opened for a pass that is over."""
    for listener in listeners_here():
        running = _running(listener)
        if listener.model is not model or not running:
            continue
        if sys.exception() is not running.handled:
            # The pass raised, and the model's table of hooks is being read: they go after a later
            # pass, and till then nobody listens.
            running.depth = 0
            for inner in running.listeners:
                remove_listener(inner)
            continue
        running.depth -= 1
        if not running.depth:
            close_openings(listener, unhang)


def close_openings(listener: Listener, unhang: Callable[[], None]) -> None:
    """End all that a listener has opened; ``unhang`` is called for each."""
    while listener.openings:
        opening = listener.openings.pop()
        try:
            opening.end()
        finally:
            unhang()


def _running(listener: Listener) -> Opening | None:
    return next((opening for opening in listener.openings if opening.depth), None)


def _open(
    listener: Listener, args: tuple[Any, ...], kwargs: dict[str, Any], hang: Callable[[], None]
) -> None:
    assert listener.begin is not None
    model = listener.model
    before = listeners_here()
    hooks = {*model._forward_pre_hooks}
    end = listener.begin()
    if end is None:
        return
    inner = [other for other in listeners_here() if other not in before]
    listener.openings.append(Opening(inner, end, sys.exception()))
    # Behind the hooks of those that were opened: it ends them.
    hang()
    # The model has read its table of hooks already: new ones are called from here.
    for number, hook in [*model._forward_pre_hooks.items()]:
        if number not in hooks:
            hook(model, args, kwargs)
