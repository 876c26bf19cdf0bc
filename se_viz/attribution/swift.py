"""A swift copy of a network: the same answers in less time, for methods that run it many times."""

import copy
from collections import Counter
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from se_viz.attribution.kept import kept_with
from se_viz.gates.hooks import Watch, watching
from se_viz.runtime import lay_out

LEAST = 16
"""Images from which on a run asks for a copy: making one takes as long as about five passes, proving it as two."""

TOLERANCE = 1e-5
"""Most that an answer may differ, as a share of its greatest logit.

Folding rounds each weight once more and adds in another order: float32 (6e-8) through a hundred layers leaves about
1e-6. What is folded wrongly shows in the first digits.
"""


def swift_copy(model: nn.Module, inputs: Float[Tensor, "1 3 height width"]) -> nn.Module:
    """Return a copy that gives the model's answer to an image in about two thirds of the time, or the model itself.

    In the copy each batch norm is folded into the convolution before it, and colours of a pixel lie side by side; its
    modules have the model's paths and classes otherwise, so that its gates can be edited too. It is proven against
    the model on this very image. It is kept, and takes as much memory as the model's weights for as long as these stay
    where and as they are. The model itself serves where the copy would not know of an edit, a capture or a hook, has
    nothing to fold or another answer, and on other devices than a CPU, whose memory is too dear for it.
    To be asked by who has the turn on the model's device, with gradients off for the copy's parameters.
    """
    kept = kept_with(model)
    if inputs.device.type != "cpu" or kept is None:
        return model
    if "swift" not in kept.copies:
        kept.copies["swift"] = _make(model, inputs)
    twin = kept.copies["swift"]
    if twin is None:
        return model
    return twin if kept.recall("swift", inputs, lambda images: _agree(twin, model, images)) else model


@torch.no_grad()
def _make(model: nn.Module, inputs: Tensor) -> nn.Module | None:
    try:
        twin = copy.deepcopy(model).requires_grad_(False)
        pairs = _find_pairs(twin, inputs)
        paths = {module: path for path, module in twin.named_modules()}
        for norm, convolution in pairs.items():
            folded = fuse_conv_bn_eval(convolution, norm)
            convolution.weight, convolution.bias = folded.weight, folded.bias
            # What some norms do besides: timm's have an activation as a child.
            twin.set_submodule(paths[norm], nn.Sequential(*norm.children()))
        twin(inputs)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        # Whatever a model of somebody else's does not allow: then it runs itself.
        return None
    return twin.to(memory_format=torch.channels_last) if pairs else None  # pyright: ignore[reportCallIssue]


def _find_pairs(model: nn.Module, inputs: Tensor) -> dict[Any, Any]:
    """Return for each norm the convolution that it normalises, if both run once in a pass."""
    made: dict[int, tuple[Tensor, nn.Module]] = {}
    found: dict[Any, Any] = {}
    uses: Counter[nn.Module] = Counter()

    def note(convolution: nn.Module, output: Tensor) -> Tensor:
        uses[convolution] += 1
        # Kept meanwhile: the place of a tensor that is gone would be another one's.
        made[id(output)] = output, convolution
        return output

    def meet(norm: nn.Module, features: Tensor) -> Tensor:
        uses[norm] += 1
        if id(features) in made:
            found[norm] = made[id(features)][1]
        return features

    give = {module: partial(note, module) for module in model.modules() if _is_plain(module)}
    take = {module: partial(meet, module) for module in model.modules() if _has_statistics(module)}
    with watching(Watch(model, {}, give=give, take=take)):
        model(inputs)
    return {norm: one for norm, one in found.items() if uses[norm] == uses[one] == 1}


def _is_plain(module: nn.Module) -> bool:
    # Of a class derived from it, nobody knows what it does with its weights.
    return type(module) is nn.Conv2d


def _has_statistics(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d) and module.running_mean is not None


@torch.no_grad()
def _agree(twin: nn.Module, model: nn.Module, images: Tensor) -> bool:
    found, expected = twin(lay_out(images)), model(images)
    if not isinstance(expected, Tensor) or found.shape != expected.shape:
        return False
    return bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())
