"""Between which values a gate lies: what a function leaves of an interval."""

from collections.abc import Callable
from math import copysign, inf
from typing import Any, TypeAlias

import torch
from torch import Tensor

Interval: TypeAlias = tuple[float, float, bool]
"""Lower end, upper end, and whether they are reached."""

ANY: Interval = (-inf, inf, False)

_FIXED: dict[str, Interval] = {
    "sigmoid": (0.0, 1.0, False),
    "softmax": (0.0, 1.0, False),
    "tanh": (-1.0, 1.0, False),
    "softsign": (-1.0, 1.0, False),
    "hardsigmoid": (0.0, 1.0, True),
    "relu6": (0.0, 6.0, True),
    "relu": (0.0, inf, True),
    "exp": (0.0, inf, False),
    "softplus": (0.0, inf, False),
    "abs": (0.0, inf, True),
    "square": (0.0, inf, True),
    "logsigmoid": (-inf, 0.0, False),
}

NAMES = {
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "tanh": "Tanh",
    "softsign": "Softsign",
    "hardsigmoid": "Hardsigmoid",
    "relu6": "ReLU6",
    "relu": "ReLU",
    "softplus": "Softplus",
    "logsigmoid": "LogSigmoid",
    "hardtanh": "Hardtanh",
    "linear": "Linear",
}
"""Functions by the names of their modules, as the table of spellings has them."""

BOUNDED = frozenset(
    ("sigmoid", "softmax", "tanh", "softsign", "hardsigmoid", "relu6", "hardtanh", "clamp", "clip")
)
"""Functions that make a gate of what has weights of its own alone."""

ARITHMETIC = frozenset(("add", "sub", "rsub", "mul", "div", "rdiv", "reciprocal", "neg"))
"""Functions after which a gate is still called by the function before them."""


def bound(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], of: Interval) -> Interval:
    """Return the interval of what a function of one gate puts out; ``of`` is that of its input."""
    if name in ("clamp", "clip", "hardtanh"):
        return _clamp(name, args, kwargs, of)
    if name in _FIXED:
        return _FIXED[name]
    if name == "neg":
        return -of[1], -of[0], of[2]
    if name == "reciprocal":
        return _invert(1.0, of)
    if name in ARITHMETIC and len(args) == 2:
        first, second = (_constant(value) for value in args)
        if (number := second) is not None:
            return _invert(number, of) if name == "rdiv" else _affine(name, number, of)
        if (number := first) is not None and name == "div":
            return _invert(number, of)
        if (number := first) is not None and name in ("rsub", "add", "mul", "sub"):
            return _affine({"sub": "rsub"}.get(name, name), number, of)
    return ANY


def bound_two(name: str, first: Interval, second: Interval) -> Interval:
    """Return the interval of a sum, difference or product of two gates."""
    steps: dict[str, Callable[[float, float], float]] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
    }
    if name not in steps or inf in map(abs, (*first[:2], *second[:2])):
        return ANY
    ends = [steps[name](a, b) for a in first[:2] for b in second[:2]]
    return min(ends), max(ends), first[2] and second[2]


def _clamp(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], of: Interval) -> Interval:
    default = (-1.0, 1.0) if name == "hardtanh" else (None, None)
    names = ("min_val", "max_val") if name == "hardtanh" else ("min", "max")
    given = [*args[1:3], *default[len(args[1:3]) :]]
    low, high = (kwargs.get(key, value) for key, value in zip(names, given, strict=True))
    ends = [_constant(value) for value in (low, high)]
    return (
        of[0] if ends[0] is None else max(of[0], ends[0]),
        of[1] if ends[1] is None else min(of[1], ends[1]),
        True,
    )


def _affine(name: str, number: float, of: Interval) -> Interval:
    if name == "div" and number == 0:
        return ANY
    step: Callable[[float], float] = {
        "add": lambda value: value + number,
        "sub": lambda value: value - number,
        "rsub": lambda value: number - value,
        "mul": lambda value: value * number,
        "div": lambda value: value / number,
    }[name]
    if number == 0 and name == "mul":
        return 0.0, 0.0, True
    ends = step(of[0]), step(of[1])
    return min(ends), max(ends), of[2]


def _invert(number: float, of: Interval) -> Interval:
    """Return the interval of a number divided by what lies in another, which holds no 0."""
    low, high, closed = of
    if low < 0 < high or number == 0:
        return ANY
    # From the side of its own sign, 0 leads to infinity.
    sign = copysign(inf, low + high)
    ends = [number / end if end else number * sign for end in (low, high)]
    return min(ends), max(ends), closed and 0 not in (low, high)


def _constant(value: Any) -> float | None:
    if isinstance(value, (int, float)):
        return float(value)
    if type(value) is Tensor and value.ndim == 0 and not value.is_meta:
        with torch.no_grad():
            return float(value)
    return None
