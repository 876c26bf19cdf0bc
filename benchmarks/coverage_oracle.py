"""The oracle of the coverage check: modules that gate channels, told by what they do, not by their
names.
"""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn

Pair: TypeAlias = tuple[Tensor, Tensor]
"""Input and output of a module, channels second."""


def randomise(model: nn.Module) -> nn.Module:
    """Give norms a weight, and what starts at zero a value: else U is zero in every block of a new
    network.
    """
    torch.manual_seed(0)
    for module in model.modules():
        for name, value in module.named_parameters(recurse=False):
            if name == "weight" and "norm" in type(module).__name__.lower():
                nn.init.uniform_(value, 0.5, 1.0)
            elif not value.any():
                nn.init.normal_(value, 0.0, 0.2)
    return model


def settle(model: nn.Module, images: Tensor) -> None:
    """Let batch norms take their statistics from the images: else signals fade or burst on their
    way down.
    """
    norms = [
        module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    for norm in norms:
        norm.train().momentum = 1.0
    try:
        with torch.no_grad():
            model(images)
    finally:
        for norm in norms:
            norm.eval()


def see_gating(
    model: nn.Module, images: Tensor, paths: Container[str] = ()
) -> dict[str, list[Pair]]:
    """Return input and output of every innermost module that gates channels, by its path.

    Once for each call.

    Of the ``paths`` that are named they are returned in any case: a gate may happen to be the same
    for both images.
    """
    gating: dict[str, list[Pair]] = {}
    with _hooked(model, gating, paths), torch.no_grad():
        model(images)
    outer = [path for path in gating if any(inner.startswith(f"{path}.") for inner in gating)]
    return {path: pairs for path, pairs in gating.items() if path in paths or path not in outer}


def is_gating(before: Tensor, after: Tensor) -> bool:
    """Tell whether ``after`` is ``before`` times one value a channel, which differs between the
    images.
    """
    flat, out = (value.double().flatten(2) for value in (before, after))
    peak = flat.abs().argmax(2, keepdim=True)
    factor = (out.gather(2, peak) / flat.gather(2, peak)).nan_to_num(0.0)
    slack = 1e-5 * (out.abs().amax(2, keepdim=True) + 1e-30)
    same = ((out - factor * flat).abs() <= slack).all() and out.isfinite().all()
    alive = flat.gather(2, peak).abs().amin(0) > 0
    # A map of one value, as pooling and attention leave nearly, becomes another one whatever is
    # done to it.
    span = flat.amax(2, keepdim=True) - flat.amin(2, keepdim=True)
    uneven = (span / flat.abs().amax(2, keepdim=True)).amin(0) > 1e-2
    # A hard activation shuts some maps wholly and lets others through as they are; a gate also does
    # things in between.
    graded = (factor * (factor - 1)).abs().amax(0) > 1e-3
    # Far more than the slack: the sum of a map and very little else is nearly the map, and a norm
    # whose epsilon is far above a faded signal multiplies by nearly the same, however large that
    # is.
    differ = (factor[0] - factor[-1]).abs() > 1e-3 * factor.abs().amax(0).clamp(min=1)
    return bool(same and differ[alive & uneven & graded].any())


@contextmanager
def _hooked(
    model: nn.Module, gating: dict[str, list[Pair]], paths: Container[str]
) -> Iterator[None]:
    def look(path: str, args: tuple[object, ...], output: object) -> None:
        before = next((value for value in args if isinstance(value, Tensor)), None)
        if (
            before is None
            or not isinstance(output, Tensor)
            or before.ndim != 4
            or before.shape != output.shape
        ):
            return
        for axis in (1, 3):
            pair = before.movedim(axis, 1), output.movedim(axis, 1)
            if path in paths or (pair[0].shape[2:].numel() >= 4 and is_gating(*pair)):
                gating.setdefault(path, []).append((pair[0].clone(), pair[1].clone()))
                return

    handles = [
        module.register_forward_hook(lambda _, args, output, path=path: look(path, args, output))
        for path, module in model.named_modules()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
