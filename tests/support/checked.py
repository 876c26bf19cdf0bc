"""Types and shapes, checked whenever a function of se_viz is called, in a third of the time that
jaxtyping's own decorator takes.

That one binds all arguments anew and checks them twice, at every call and also without a shape.
"""

import dataclasses
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial, wraps
from typing import Any, get_args

import jaxtyping
from jaxtyping import AbstractArray, install_import_hook, jaxtyped


def check_calls(package: str) -> AbstractContextManager[object]:
    """Check every function that is imported of a package from now on, or until the end of
    ``with``.
    """
    from beartype import beartype

    def check(code: Any, *, typechecker: Any) -> Any:
        if inspect.isclass(code):
            if dataclasses.is_dataclass(code) and "__init__" in vars(code):
                code.__init__ = _check(code.__init__, beartype, typechecker)
            return code
        return _check(code, beartype, typechecker)

    # What the hook writes above each function and class.
    jaxtyping.jaxtyped = lambda *, typechecker: partial(check, typechecker=typechecker)
    return install_import_hook(package, "beartype.beartype")


def _check(function: Any, beartype: Callable[[Any], Any], typechecker: Any) -> Any:
    hints = function.__annotations__.values()
    if inspect.isgeneratorfunction(function) or any(isinstance(hint, str) for hint in hints):
        # It knows what to do with names that are not there yet, and with what yields.
        return jaxtyped(function, typechecker=typechecker)
    checked = beartype(function)
    if not any(map(_has_shape, hints)):
        return checked

    @wraps(function)
    def measured(*arguments: Any, **named: Any) -> Any:
        # An axis has one length among arguments and answer, and is forgotten after the call.
        with jaxtyped("context"):
            return checked(*arguments, **named)

    return measured


def _has_shape(hint: Any) -> bool:
    if isinstance(hint, list):
        return any(map(_has_shape, hint))
    array = inspect.isclass(hint) and issubclass(hint, AbstractArray)
    return array or any(map(_has_shape, get_args(hint)))
