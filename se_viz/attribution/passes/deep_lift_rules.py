"""DeepLift's rules for what Captum has none for, or a wrong one: products such as s·U, max-pools,
further bends.
"""

from collections.abc import Callable
from typing import Any, no_type_check

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_RESOLVED = 64
"""Differences of fewer roundings than that are no measure: the slope stands in for their
quotient."""


class Differences(TorchFunctionMode):
    """Passes back differences from the baseline instead of slopes, in passes with gradients inside
    the ``with`` block.

    The first half of such a batch are images, the second half their baselines. A function keeps its
    values; its derivative times the difference of its inputs becomes the difference of its outputs
    (the rescale rule, Shrikumar et al., arXiv 1704.02685, section 3.5). A product gives each factor
    its Shapley value: the factor's difference times the mean of the other one (Lundberg and Lee,
    arXiv 1705.07874). A max-pool gives all to the cell that holds the larger of both maxima. Other
    functions, and what runs in C++ alone, keep their slopes.
    """

    # Tests check types at run time, which this would pay for at every operation.
    @no_type_check
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function of PyTorch, with a rule where there is one."""
        kwargs = dict(kwargs or {})
        rule = _RULES.get(func) if torch.is_grad_enabled() else None
        if rule and "input" in kwargs:
            args = (kwargs.pop("input"), *args)
        return rule(func, *args, **kwargs) if rule and _differs(args[0]) else func(*args, **kwargs)


def _bend(function: Callable[..., Tensor], features: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    writes = kwargs.pop("inplace", False) or any(arg is True for arg in args)
    args = tuple(arg for arg in args if arg is not True)
    alone = features.detach().requires_grad_()
    output = function(alone, *args, **kwargs)
    near = _blurred(features) | _blurred(output)
    chord = _difference(output) / _difference(features).masked_fill(near, 1)
    # Here, so that of each bend no more is kept for the way back than one slope.
    (slope,) = torch.autograd.grad(output.sum(), alone)
    bent = _tie(output, (features, torch.where(_twice(near), slope, _twice(chord))))
    return features.copy_(bent) if writes else bent


# `other` is PyTorch's name, by which it may be passed.
def _multiply(function: Callable[..., Tensor], values: Tensor, other: Any, **kwargs: Any) -> Tensor:
    output = function(values, other, **kwargs)
    if not _differs(other) or len(values) != len(other) or values.ndim != other.ndim or kwargs:
        return output
    return _tie(output, (values, _twice(_mean(other))), (other, _twice(_mean(values))))


def _write(rule: Callable[..., Tensor], function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the rule of what writes a function's values over its input."""
    return lambda _, values, *args, **kwargs: values.copy_(rule(function, values, *args, **kwargs))


def _pool(function: Callable[..., Any], features: Tensor, *args: Any, **kwargs: Any) -> Any:
    if kwargs.get("return_indices") or len(args) > 5:
        return function(features, *args, **kwargs)
    output, places = F.max_pool2d(features, *args, **{**kwargs, "return_indices": True})
    (after, before) = output.detach().chunk(2)
    (image, start) = places.flatten(2).chunk(2)
    places = _twice(torch.where((after > before).flatten(2), image, start))
    largest = features.flatten(2).gather(2, places).view_as(output)
    near = _blurred(largest)
    slope = ((after - before) / _difference(largest).masked_fill(near, 1)).masked_fill(near, 1)
    return _tie(output, (largest, _twice(slope)))


def _tie(values: Tensor, *ties: tuple[Tensor, Tensor]) -> Tensor:
    """Return the values, to the bit, with the given slope by each input."""
    return values.detach() + sum(slope * (inputs - inputs.detach()) for inputs, slope in ties)


def _differs(values: Any) -> bool:
    """Return whether values can have a half for images and one for baselines."""
    return (
        isinstance(values, Tensor)
        and values.requires_grad
        and values.ndim > 0
        and len(values) % 2 == 0
    )


def _blurred(values: Tensor) -> Tensor:
    """Return where image and baseline are the same but for rounding."""
    after, before = values.detach().chunk(2)
    return (after - before).abs() <= _RESOLVED * torch.finfo(values.dtype).eps * (
        after.abs() + before.abs()
    )


def _difference(values: Tensor) -> Tensor:
    after, before = values.detach().chunk(2)
    return after - before


def _mean(values: Tensor) -> Tensor:
    after, before = values.detach().chunk(2)
    return (after + before) / 2


def _twice(values: Tensor) -> Tensor:
    return torch.cat([values, values])


_RULES: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys(
        (F.relu, torch.relu, Tensor.relu, F.relu6, F.hardtanh, F.leaky_relu, F.prelu, torch.prelu),
        _bend,
    ),
    **dict.fromkeys(
        (F.elu, F.selu, F.celu, F.silu, F.mish, F.gelu, F.softplus, F.hardswish, F.hardsigmoid),
        _bend,
    ),
    **dict.fromkeys(
        (torch.sigmoid, F.sigmoid, Tensor.sigmoid, torch.tanh, F.tanh, Tensor.tanh), _bend
    ),
    **dict.fromkeys(
        (torch.mul, Tensor.mul, Tensor.__mul__, torch.multiply, Tensor.multiply), _multiply
    ),
    **dict.fromkeys((Tensor.mul_, Tensor.__imul__, Tensor.multiply_), _write(_multiply, torch.mul)),
    **dict.fromkeys((torch.relu_, F.relu_, Tensor.relu_), _write(_bend, torch.relu)),
    **dict.fromkeys((torch.sigmoid_, Tensor.sigmoid_), _write(_bend, torch.sigmoid)),
    **dict.fromkeys((torch.tanh_, Tensor.tanh_), _write(_bend, torch.tanh)),
    **dict.fromkeys((F.max_pool2d, torch.max_pool2d), _pool),
}
