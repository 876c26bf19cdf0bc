"""A private copy of a model for methods that change derivatives: each use of a function has a module of its own."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR, nonlinear
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.attribution.kept import kept_with
from se_viz.errors import AttributionError
from se_viz.gates.hooks import is_watching

RULED: tuple[type[nn.Module], ...] = tuple(kind for kind, rule in SUPPORTED_NON_LINEAR.items() if rule is nonlinear)
"""Classes of modules whose derivative a method may replace."""


class Unrolled(nn.Module):
    """A function that a pass may use several times, as one module a use; the first pass finds how many."""

    def __init__(self, function: nn.Module) -> None:
        super().__init__()
        self._function = [function]
        self._next = 0
        self.uses = nn.ModuleList()
        self.counting = True

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the module of this use."""
        if self.counting:
            use = copy.deepcopy(self._function[0])
            _keep_input(use)
            self.uses.append(use)
        else:
            self._next = self._next % len(self.uses) + 1
        use = self.uses[self._next - 1]
        if torch.is_grad_enabled() and not inputs.requires_grad:
            # No pixel reaches it, and Captum's hooks ask for a gradient.
            return use.forward(inputs)
        # A view: Captum replaces all that comes back to what a module is given, also from others that read it.
        return use(inputs.view_as(inputs))

    def rewind(self) -> None:
        """Begin with the module of the first use again."""
        self._next = 0


class Unseen(nn.Module):
    """A module that Captum does not find: its rules for max-pools and Softmax give shares that do not add up."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._hidden = [module]

    @property
    def module(self) -> nn.Module:
        """Return the module."""
        return self._hidden[0]

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the module."""
        return self.module(inputs)


@contextmanager
def borrow_unrolled(model: nn.Module, inputs: Float[Tensor, "batch 3 height width"]) -> Iterator[nn.Module]:
    """Yield a copy that `copy_unrolled` made and proved, of which nobody else knows inside the ``with`` block.

    It is kept for the next one, and takes as much memory as the model's weights for as long as these stay where and
    as they are. After an error it is not kept: rules may be left on it.
    """
    kept = kept_with(model)
    twin = kept.copies.pop("unrolled", None) if kept else None
    twin = twin or copy_unrolled(model, inputs)
    yield twin
    if kept:
        for use in (use for one in stand_ins(twin) for use in one.uses):
            # What DeepLift notes in a module that ran, and takes away only where its derivative counted.
            for name in ("input", "output"):
                use.__dict__.pop(name, None)
        kept.copies["unrolled"] = twin


def rewind(twin: nn.Module) -> None:
    """Let the next pass of a copy begin with the first use of each module, where one has ended early."""
    for one in stand_ins(twin):
        one.rewind()


def stand_ins(twin: nn.Module) -> Iterator[Unrolled]:
    """Yield what stands for the functions of a copy."""
    return (module for module in twin.modules() if isinstance(module, Unrolled))


def copy_unrolled(model: nn.Module, inputs: Float[Tensor, "batch 3 height width"]) -> nn.Module:
    """Return a copy of a model without a module of ``RULED`` that is used twice in a pass, or in place.

    Whatever is done to the copy, the model itself stays as it is. The copy's answer is the model's, bit for bit.

    Raises:
        AttributionError: the copy answers otherwise, or gates are edited, which a copy would not know.
    """
    if is_watching():
        raise AttributionError(
            "This method runs on a copy of the network, which the edits of its gates do not reach. Undo the edits, or "
            "choose a method that runs on the network itself, such as saliency."
        )
    # Frozen: a pass keeps nothing for the weights, and what bends them alone is no function of the image.
    twin = _unroll(copy.deepcopy(model).requires_grad_(False))
    with torch.no_grad():
        same = _same(twin(inputs), model(inputs))
        for module in twin.modules():
            if isinstance(module, Unrolled):
                module.counting = False
        same = same and _same(twin(inputs), model(inputs))
    if not same:
        raise AttributionError(
            f"{type(model).__name__} answers otherwise when each use of a ReLU has a module of its own, so that this "
            "method would explain another network. Choose a method without rules, such as integrated_gradients."
        )
    return twin


def _same(found: object, expected: object) -> bool:
    return isinstance(found, Tensor) and isinstance(expected, Tensor) and torch.equal(found, expected)


def _unroll(model: nn.Module) -> nn.Module:
    # A module may hang in several places: all of them get the same stand-in, which counts all its uses.
    unrolled: dict[nn.Module, Unrolled] = {}
    for parent in [*model.modules()]:
        for name, child in [*parent.named_children()]:
            if type(child) in RULED:
                setattr(parent, name, unrolled.setdefault(child, Unrolled(child)))
            elif type(child) in SUPPORTED_NON_LINEAR:
                setattr(parent, name, Unseen(child))
            else:
                _keep_input(child)
    return model


def _keep_input(module: nn.Module) -> None:
    # What a hook on the way back looks at must not be written over.
    if getattr(module, "inplace", False) is True:
        setattr(module, "inplace", False)  # noqa: B010
