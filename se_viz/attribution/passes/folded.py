"""A swift copy of a network: the same answers in less time, for methods that run it many times.

Why: docs/decisions/017-folded-copy-for-many-passes.md
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from se_viz.attribution.passes.copies import copy_modules, run_apart
from se_viz.devices import lay_out
from se_viz.errors import SeVizError
from se_viz.gates.following import lend_findings
from se_viz.gates.hooks import has_foreign_hooks, is_watching, listening
from se_viz.gates.listeners import Listener

LEAST = 16
"""Images from which on a run makes a copy: that takes as long as about four passes, two of which
prove it."""

TOLERANCE = 1e-5
"""Most that an answer may differ, as a share of its greatest logit.

Folding rounds each weight once more and adds in another order: float32 (6e-8) through a hundred
layers leaves about 1e-6. What is folded wrongly shows in the first digits.
"""


@torch.no_grad()
def swift_copy(model: nn.Module, inputs: Float[Tensor, "1 channels *sides"]) -> nn.Module:
    """Return a copy that gives the model's answer to an image in about two thirds of the time, or
    the model itself.

    In the copy each batch norm is folded into the convolution before it, and colours of a pixel lie
    side by side; its modules have the model's paths and classes otherwise, so that its gates can be
    edited too. It is made of the model as it is now, proven against it on this very image, and for
    one call: nothing tells when the model changes. The model itself serves where the copy would not
    know of an edit, a capture or a hook, has nothing to fold or another answer, and on other
    devices than a CPU, whose memory is too dear for it. To be asked by who has the turn on the
    model's device.
    """
    if inputs.device.type != "cpu" or not _may_fold(model):
        return model
    try:
        expected, pairs = _find_pairs(model, inputs)
        if not pairs:
            return model
        twin = _fold(model, pairs)
        found, shared = run_apart(twin, model, lay_out(inputs))
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RuntimeError,
        SeVizError,
        TypeError,
        ValueError,
    ):
        # Whatever a model of somebody else's does not allow: then it runs itself.
        return model
    return twin if not shared and _agree(found, expected) else model


def _may_fold(model: nn.Module) -> bool:
    modules = [*model.modules()]
    busy = is_watching() or has_foreign_hooks(model) or any(module.training for module in modules)
    return not busy and any(_has_statistics(module) for module in modules)


def _fold(model: nn.Module, pairs: Mapping[str, str]) -> nn.Module:
    twin = copy_modules(model)
    for path, before in pairs.items():
        norm: Any = twin.get_submodule(path)
        convolution: Any = twin.get_submodule(before)
        folded = fuse_conv_bn_eval(convolution, norm)
        convolution.weight = folded.weight
        convolution.bias = folded.bias
        # What some norms do besides: timm's have an activation as a child.
        twin.set_submodule(path, nn.Sequential(*norm.children()))
    lend_findings(model, twin)
    return twin.requires_grad_(False).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _find_pairs(model: nn.Module, inputs: Tensor) -> tuple[object, dict[str, str]]:
    """Return a model's answer, and for each norm the convolution that it normalises, if both run
    once in a pass.
    """
    made: dict[int, tuple[Tensor, nn.Module]] = {}
    pairs: dict[nn.Module, nn.Module] = {}
    uses: Counter[nn.Module] = Counter()

    def note(convolution: nn.Module, output: Tensor) -> Tensor:
        uses[convolution] += 1
        # Held meanwhile: the place of a tensor that is gone would be another one's.
        made[id(output)] = output, convolution
        return output

    def meet(norm: nn.Module, features: Tensor) -> Tensor:
        uses[norm] += 1
        if id(features) in made:
            pairs[norm] = made[id(features)][1]
        return features

    give = {module: partial(note, module) for module in model.modules() if _is_plain(module)}
    take = {module: partial(meet, module) for module in model.modules() if _has_statistics(module)}
    with listening(Listener(model, {}, give=give, take=take)):
        answer = model(inputs)
    paths = {module: path for path, module in model.named_modules()}
    once = {norm: before for norm, before in pairs.items() if uses[norm] == uses[before] == 1}
    return answer, {paths[norm]: paths[before] for norm, before in once.items()}


def _is_plain(module: nn.Module) -> bool:
    # Of a class derived from it, nobody knows what it does with its weights.
    return type(module) is nn.Conv2d


def _has_statistics(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d) and module.running_mean is not None


def _agree(found: object, expected: object) -> bool:
    if (
        not isinstance(found, Tensor)
        or not isinstance(expected, Tensor)
        or found.shape != expected.shape
    ):
        return False
    return bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())
