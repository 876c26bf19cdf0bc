"""A pass that is followed tensor by tensor: which maps are multiplied by what was learned from a
pooled map.

Why: docs/decisions/045-gates-by-what-they-do.md
"""

import weakref
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from se_viz.gates.following.factors import Factor, find_factor
from se_viz.gates.following.marks import MAPS, Frame, Mark, Origin, Use
from se_viz.gates.following.operations import (
    BY_FIRST,
    IGNORED,
    PRODUCTS,
    SUMS,
    name_of,
    tensors_among,
)
from se_viz.gates.following.steps import Step, follow
from se_viz.gates.strides import tensors_in


@dataclass(slots=True, eq=False)
class Multiplication:
    """A map times one value a sample and channel that was learned from a pooled map."""

    module: nn.Module
    """The module whose code multiplies."""
    features: Tensor
    gate: Tensor
    """(batch, channels)."""
    last: bool
    """Whether channels are the last axis of the map."""
    squeeze: Tensor | None
    """None where no statistic has one value for each sample and channel of the map."""
    pooled: str
    """How the squeeze was pooled."""
    origin: Origin
    frames: tuple[Frame, ...]
    """The modules that ran, the outermost first."""
    use: Use
    visits: list[Any] = field(default_factory=list)
    """Who was told of it, and with what."""


class Watcher:
    """What is told of a pass that is followed; the one here looks on."""

    def multiply(self, product: Multiplication) -> Tensor:
        """Return the gates to multiply by, before it is done."""
        return product.gate

    def finish(self, product: Multiplication, output: Tensor) -> None:
        """Take note of a product."""

    def refuse(self, frame: Frame, kind: str) -> None:
        """Take note of a factor that is none for a whole channel, or not all of what is done."""


class Tracer(TorchFunctionMode):
    """Follows every function between `enter` and `leave` of modules, in one thread."""

    def __init__(self, watcher: Watcher, *, exact: bool) -> None:
        """Follow for a watcher; ranges and names are asked for where it is to be ``exact``."""
        super().__init__()
        self._watcher = watcher
        self._exact = exact
        self._frames: list[Frame] = []
        # By number: a tensor has no hash by value. The reference tells a later one of that number.
        self._marks: dict[int, tuple[weakref.ref[Tensor], Mark]] = {}

    @property
    def depth(self) -> int:
        """Return how many modules run that are followed."""
        return len(self._frames)

    def enter(self, module: nn.Module, inputs: Any, known: tuple[Mark | None, ...] = ()) -> None:
        """Take note that a module runs; what it is given, and is not known, is a map."""
        tensors = list(tensors_in(inputs))
        marks: list[Mark | None] = []
        for place, value in enumerate(tensors):
            mark = self._mark(value)
            if mark is None and (known or not self._frames):
                default = MAPS[None] if value.ndim > 2 and value.is_floating_point() else None
                mark = known[place] if place < len(known) else default
                self._set(value, mark)
            marks.append(mark)
        self._frames.append(Frame(module, inputs=tuple(marks)))

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> Frame | None:
        """Take note that a module has run, and return what it did."""
        while self._frames:
            frame = self._frames.pop()
            if frame.module is module:
                self._cross(frame, inputs, output)
                return frame
        return None

    def _cross(self, frame: Frame, inputs: Any, output: Any) -> None:
        """Follow through a module whose functions were not seen, as in TorchScript."""
        tensors = list(tensors_in(inputs))
        marks = [self._mark(value) for value in tensors]
        if not any(marks):
            return
        weights = [*frame.module.parameters()]
        for value in tensors_in(output):
            if self._mark(value) is None and value.is_floating_point():
                name = "linear" if weights and value.ndim == 2 else type(frame.module).__name__
                step = Step(
                    frame.module,
                    name,
                    (),
                    {},
                    [*tensors, *weights],
                    [*marks, *[None] * len(weights)],
                    (*self._frames, frame),
                    self._exact,
                )
                self._set(value, follow(step, value))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run a function, and take note of what it makes of what."""
        kwargs = kwargs or {}
        name = name_of(func)
        if name in IGNORED or not self._frames:
            return func(*args, **kwargs)
        tensors = [*tensors_among(args), *tensors_among(kwargs.values())]
        if not tensors:
            return func(*args, **kwargs)
        if name in BY_FIRST:
            del tensors[1:]
        marks = [self._mark(value) for value in tensors]
        step = Step(func, name, args, kwargs, tensors, marks, tuple(self._frames), self._exact)
        factor = find_factor(step) if name in PRODUCTS else None
        if factor:
            return self._multiply(step, factor)
        output = func(*args, **kwargs)
        self._note(step, output)
        return output

    def _note(self, step: Step, output: Any) -> None:
        if step.name == "__setitem__" and len(step.tensors) > 1:
            output = step.tensors[0]
        if isinstance(output, Tensor):
            self._set(output, self._follow(step, output))
        elif isinstance(output, (tuple, list)):
            for place, value in enumerate(output):
                if isinstance(value, Tensor):
                    self._set(value, follow(step, value, place))

    def _follow(self, step: Step, output: Tensor) -> Mark | None:
        mark = follow(step, output)
        if step.name in SUMS and len(step.data) > 1:
            self._look_for_sum(step)
        if step.name == "mul" and mark is not None and not mark.levels and len(step.data) > 1:
            bases = tuple(weakref.ref(value) for value in step.tensors)
            return replace(mark, bases=bases)
        return mark

    def _look_for_sum(self, step: Step) -> None:
        """Tell of a product to which its own map, or another product of it, is added at once."""
        for value, mark in step.data:
            use = mark.use
            if use is None or use.frame is not step.frames[-1]:
                continue
            features = use.features()
            for other, its in step.data:
                bases = [base() for base in its.bases]
                if (
                    other is not value
                    and features is not None
                    and (other is features or any(base is features for base in bases))
                ):
                    self._watcher.refuse(use.frame, "sum")

    def _multiply(self, step: Step, factor: Factor) -> Any:
        frame = step.frames[-1]
        if factor.refusal:
            self._watcher.refuse(frame, factor.refusal)
            output = step.func(*step.args, **step.kwargs)
            self._note(step, output)
            return output
        frame.products += 1
        use = Use(frame, weakref.ref(factor.features))
        squeeze, pooled = factor.choose_squeeze()
        product = Multiplication(
            frame.module,
            factor.features,
            factor.gate,
            factor.last,
            squeeze,
            pooled,
            factor.origin,
            step.frames,
            use,
        )
        gate = self._watcher.multiply(product)
        args, kwargs = step.args, step.kwargs
        if gate is not product.gate:
            args, kwargs = factor.replace(gate, args, kwargs)
        output = step.func(*args, **kwargs)
        self._watcher.finish(product, output)
        mark = MAPS.get(factor.axis, MAPS[None])
        self._set(
            output,
            replace(
                mark,
                levels=factor.mark.levels,
                use=use,
                bases=(use.features,),
                origin=factor.mark.origin,
            ),
        )
        return output

    def _mark(self, value: Tensor) -> Mark | None:
        entry = self._marks.get(id(value))
        return entry[1] if entry and entry[0]() is value else None

    def _set(self, value: Tensor, mark: Mark | None) -> None:
        if mark is None:
            self._marks.pop(id(value), None)
        else:
            self._marks[id(value)] = weakref.ref(value), mark
