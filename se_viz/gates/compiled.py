"""Parts of a model that run as compiled code, which calls no hooks.

A capture must never pass them over.

Why: docs/decisions/004-no-block-is-passed-over.md
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

_WRAPPED = (
    "is wrapped by `torch.compile`, and compiled code ignores hooks that come after its first "
    "call. Capture from the model you compiled."
)
_SCRIPT = (
    "is TorchScript, which calls no hooks. Capture from the module that was scripted or traced."
)

_TRACED = (
    "has run in a function that `torch.compile` made, so that blocks of known classes alone are "
    "looked for. Load the model anew, and look for its gates before that function runs."
)


def is_wrapped(kind: type[nn.Module]) -> bool:
    """Return whether modules of a class are what `torch.compile(module)` returns."""
    return any(base.__name__ == "OptimizedModule" for base in kind.__mro__)


def say_compiled(kind: type[nn.Module]) -> str:
    """Return what makes every module of a class run as compiled code and what to do, as the end of
    a sentence.
    """
    if is_wrapped(kind):
        return _WRAPPED
    return _SCRIPT if issubclass(kind, torch.jit.ScriptModule) else ""


def is_compiled_in_place(module: nn.Module) -> bool:
    """Return whether `Module.compile` was called, or ``forward`` replaced by a compiled one."""
    forward = module.__dict__.get("forward") or type(module).forward
    return module._compiled_call_impl is not None or hasattr(forward, "_torchdynamo_orig_callable")


def compiled_around(model: nn.Module, paths: Iterable[str]) -> set[nn.Module]:
    """Return what is compiled in place among the modules at some paths and those that hold them."""
    around = {path.rsplit(".", ups)[0] for path in paths for ups in range(path.count(".") + 1)}
    return {module for path in around if is_compiled_in_place(module := model.get_submodule(path))}


def is_in_compiled_code(module: nn.Module) -> bool:
    """Return whether `torch.compile` has traced a module's weights, be it in a function that calls
    its model.
    """
    return any(hasattr(weight, "_dynamo_static_input_type") for weight in module.parameters())


def name_unseen(model: nn.Module) -> dict[str, str]:
    """Return the paths of the outermost parts that run as compiled code, and what to do."""
    unseen: dict[str, str] = {}
    for path, module in model.named_modules():
        inner = any(not other or path.startswith(f"{other}.") for other in unseen)
        if not inner and (words := say_compiled(type(module))):
            unseen[path] = f"{path or 'The model'} {words}"
    return unseen


def find_traced(model: nn.Module) -> dict[str, str]:
    """Return the outermost path whose weights a compiled function has used, around parts of a
    model or in its code, and what to do; empty where none has run.

    Such a function would compile what follows a pass too.
    """
    compiled = {
        part
        for module in model.modules()
        if say_compiled(type(module)) or is_compiled_in_place(module)
        for part in module.modules()
    }
    for path, module in model.named_modules():
        if module not in compiled and any(
            hasattr(weight, "_dynamo_static_input_type") for weight in module._parameters.values()
        ):
            return {path: f"{path or 'The model'} {_TRACED}"}
    return {}


def has_own_forward(model: nn.Module, path: str) -> bool:
    """Return whether a module or a part that holds it was given a ``forward`` of its own, which
    may leave it out.
    """
    names = path.split(".") if path else []
    return any(
        "forward" in model.get_submodule(".".join(names[:end])).__dict__
        for end in range(len(names) + 1)
    )


class Eagerly:
    """A module that is compiled in place, which runs as it was written where ``is_eager`` says so,
    until `remove`.
    """

    def __init__(self, module: nn.Module, is_eager: Callable[[], bool]) -> None:
        """Put a choice between both in the place of what was compiled."""
        self._module = module
        self._before: dict[str, Any] = {}
        if module._compiled_call_impl is not None:
            self._choose(
                "_compiled_call_impl", module._compiled_call_impl, module._call_impl, is_eager
            )
        forward: Any = module.forward
        if hasattr(forward, "_torchdynamo_orig_callable"):
            eager = forward._torchdynamo_orig_callable
            if "forward" not in module.__dict__:
                # Compiled in its class, so that what was written is still to be bound.
                eager = eager.__get__(module)
            self._choose("forward", forward, eager, is_eager)

    def remove(self) -> None:
        """Put back what was compiled, unless somebody has put something else there."""
        for name, (before, choice) in self._before.items():
            if self._module.__dict__.get(name) is choice:
                del self._module.__dict__[name]
                if before is not None:
                    self._module.__dict__[name] = before

    def _choose(self, name: str, compiled: Any, eager: Any, is_eager: Callable[[], bool]) -> None:
        def choice(*args: Any, **kwargs: Any) -> Any:
            return (eager if is_eager() else compiled)(*args, **kwargs)

        self._before[name] = self._module.__dict__.get(name), choice
        self._module.__dict__[name] = choice
