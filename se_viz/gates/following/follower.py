"""Products that one thread's listeners are told of, while the modules around them run."""

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from se_viz.errors import CaptureError
from se_viz.gates.compiled import say_compiled
from se_viz.gates.following.flow import Multiplication, Tracer, Watcher
from se_viz.gates.following.marks import Frame, Mark
from se_viz.gates.listeners import Listener, Visit
from se_viz.gates.places import Flow, Place, make_flow_place


class Follower(Watcher):
    """Follows the passes of each thread by itself, where a listener of that thread asks for it."""

    def __init__(
        self, listeners: Callable[[], list[Listener]], is_again: Callable[[], bool]
    ) -> None:
        """Follow for the open listeners of a thread; ``is_again`` tells whether it goes back."""
        self._listeners = listeners
        self._is_again = is_again
        self._thread = threading.local()

    def enter(self, module: nn.Module, inputs: Any) -> None:
        """Begin to follow, or take note that another module runs."""
        listeners = [listener for listener in self._listeners() if _concerns(listener, module)]
        if not listeners:
            return
        tracer: Tracer | None = getattr(self._thread, "tracer", None)
        if tracer is None:
            exact = any(listener.discover or listener.steps for listener in listeners)
            tracer = Tracer(self, exact=exact)
            self._thread.tracer = tracer
            tracer.__enter__()
        tracer.enter(module, inputs, _known(listeners, module))
        if say_compiled(type(module)):
            # Compiled code would compile what follows it too.
            tracer.__exit__(None, None, None)

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Take note that a module has run, and follow no longer where it was the outermost.

        Raises:
            CaptureError: a block has made another number of products than when it was found.
        """
        tracer: Tracer | None = getattr(self._thread, "tracer", None)
        listeners = [listener for listener in self._listeners() if _concerns(listener, module)]
        if tracer is None or not listeners:
            return
        if say_compiled(type(module)):
            tracer.__enter__()
        frame = tracer.leave(module, inputs, output)
        if not tracer.depth:
            self._thread.tracer = None
            tracer.__exit__(None, None, None)
        for listener in listeners:
            if frame:
                _count(listener, frame)
            if frame and listener.end:
                listener.end(frame, inputs, output)

    def end(self) -> None:
        """Stop following in this thread, where a pass was left without its end being seen."""
        tracer: Tracer | None = getattr(self._thread, "tracer", None)
        if tracer is not None:
            self._thread.tracer = None
            drop_mode(tracer)

    def multiply(self, product: Multiplication) -> Tensor:
        """Let every listener change the gates of a product, and then tell each of them."""
        gate = product.gate
        visits = []
        for listener in self._listeners():
            if place := _place(listener, product):
                visits.append((listener, self._visit(listener, place, product)))
        product.visits = visits
        for listener, visit in visits:
            gate = listener.change(visit, gate) if listener.change else gate
        for listener, visit in visits:
            visit.gate = gate
            if listener.blocks.get(visit.place.block, visit.place) is visit.place:
                listener.reported.add(visit.place.block)
            if listener.see and not visit.again:
                listener.see(visit)
        return gate

    def finish(self, product: Multiplication, output: Tensor) -> None:
        """Tell every listener what a product came to."""
        for listener, visit in product.visits:
            if listener.leave and not visit.again:
                listener.leave(visit, output)

    def refuse(self, frame: Frame, kind: str) -> None:
        """Note what is no gate of a block, for those who look for gates."""
        for listener in self._listeners():
            if listener.discover and _is_looked_at(listener, frame.module):
                listener.refusals.setdefault(frame.module, kind)

    def _visit(self, listener: Listener, place: Place, product: Multiplication) -> Visit:
        again = self._is_again()
        run = listener.runs[-1] if listener.runs and not again else None
        # Beside the block's own uses, while it is looked at in both ways.
        key = f"{place.path}*" if listener.discover else place.path
        call = run.calls[key] if run else 0
        if run:
            run.calls[key] += 1
        return Visit(
            place,
            product.features,
            run,
            call,
            again,
            squeeze=product.squeeze,
            logit=product.origin.logit,
            product=product,
        )


def drop_mode(mode: TorchFunctionMode) -> None:
    """Take a mode off this thread's stack, wherever it lies there."""
    stack = _get_current_function_mode_stack()
    if mode in stack:
        above = []
        while (top := torch.overrides._pop_mode()) is not mode:
            above.append(top)
        for other in reversed(above):
            torch.overrides._push_mode(other)


def _concerns(listener: Listener, module: nn.Module) -> bool:
    if listener.discover:
        return module in listener.paths
    return module in listener.scopes or _is_followed(listener.blocks.get(module))


def _is_followed(place: Place | None) -> bool:
    return place is not None and place.flow is not None


def _is_looked_at(listener: Listener, module: nn.Module) -> bool:
    return module in listener.paths and module not in listener.skip


def _known(listeners: Sequence[Listener], module: nn.Module) -> tuple[Mark | None, ...]:
    for listener in listeners:
        if module in listener.scopes:
            return listener.scopes[module]
    return ()


def _place(listener: Listener, product: Multiplication) -> Place | None:
    module = product.module
    if not listener.discover:
        place = listener.blocks.get(module)
        return place if _is_followed(place) else None
    if not _is_looked_at(listener, module):
        return None
    if product.squeeze is None:
        listener.refusals.setdefault(module, "squeeze")
        return None
    outer = _common(product)
    flow = Flow(outer.module, outer.inputs)
    return make_flow_place(listener.paths[module], module, flow, last=product.last)


def _common(product: Multiplication) -> Frame:
    """Return the innermost module around all that a gate came from, and its product."""
    both = zip(product.frames, product.origin.frames, strict=False)
    shared = [frame for frame, other in both if frame is other]
    return shared[-1] if shared else product.frames[0]


def _count(listener: Listener, frame: Frame) -> None:
    if listener.discover:
        listener.counts.setdefault(frame.module, set()).add(frame.products)
        return
    place = listener.blocks.get(frame.module)
    if not listener.runs or sys.exception() is not listener.runs[-1].handled:
        return
    if place and place.flow and place.flow.count not in (None, frame.products):
        raise CaptureError(
            f"{place.path or 'The model itself'} ({place.row.form}) multiplied by "
            f"{frame.products} gates in this pass, and by {place.flow.count} when it was inspected:"
            " it went another way. Inspect the model again as it runs now, with `inspect_gates`."
        )
