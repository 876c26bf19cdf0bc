"""A private copy of a model for methods that change derivatives: each use of a function has a
module of its own.

Why: docs/decisions/018-nothing-is-kept-with-a-network.md
"""

import copy
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from se_viz.errors import AttributionError
from se_viz.gates.following import lend_findings
from se_viz.gates.hooks import is_watching, listening
from se_viz.gates.listeners import Listener


@cache
def ruled_kinds() -> tuple[type[nn.Module], ...]:
    """Return the classes of modules whose derivative a method may replace."""
    # Here, so that whoever needs other copies does not wait for Captum.
    from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR, nonlinear

    return tuple(kind for kind, rule in SUPPORTED_NON_LINEAR.items() if rule is nonlinear)


class Unrolled(nn.Module):
    """A function that a pass may use several times, as one module a use.

    The first pass finds how many.
    """

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
        # A view: Captum replaces all that comes back to what a module is given, also from others
        # that read it.
        return use(inputs.view_as(inputs))

    def rewind(self) -> None:
        """Begin with the module of the first use again."""
        self._next = 0


class Unseen(nn.Module):
    """A module that Captum does not find: its rules for max-pools and Softmax give shares that do
    not add up.
    """

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


def rewind(twin: nn.Module) -> None:
    """Let the next pass of a copy begin with the first use of each module, where one has ended
    early.
    """
    for stand_in in stand_ins(twin):
        stand_in.rewind()


def stand_ins(twin: nn.Module) -> Iterator[Unrolled]:
    """Yield what stands for the functions of a copy."""
    return (module for module in twin.modules() if isinstance(module, Unrolled))


def copy_modules(model: nn.Module, *, lend: bool = True) -> nn.Module:
    """Return a copy of a model as it is now: modules and buffers of its own, and the model's own
    weights, frozen.

    The weights are read where they are, so that a copy costs a few milliseconds and hardly any
    memory; without ``lend`` they are copied too. It is for one call, and not to be kept: nothing
    tells when the model changes.

    Raises:
        AttributionError: something in the model cannot be copied.
    """
    memo: dict[int, Any] = {id(value): _lend(value) for value in model.parameters()} if lend else {}
    try:
        with _CopyTensors():
            twin = copy.deepcopy(model, memo).requires_grad_(False)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        # Whatever a class raises that holds a lock, a file or another thing there is one of.
        raise AttributionError(
            f"This method runs on a private copy of the network, and {type(model).__name__} holds "
            f"something that cannot be copied ({error}). Choose a method that runs on the network "
            "itself, such as integrated_gradients."
        ) from error
    lend_findings(model, twin)
    return twin


def _lend(value: nn.Parameter) -> nn.Parameter:
    # What was made in inference mode cannot be differentiated through.
    values = value.detach().clone() if value.is_inference() else value.detach()
    return nn.Parameter(values, requires_grad=False)


class _CopyTensors(TorchFunctionMode):
    """Copies tensors that PyTorch refuses to: what hooks have computed of weights, as weight norms
    do.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__:
            value, memo = args
            if id(value) not in memo:
                memo[id(value)] = value.detach().clone()
            return memo[id(value)]
        return func(*args, **(kwargs or {}))


def copy_unrolled(model: nn.Module, inputs: Float[Tensor, "batch channels *sides"]) -> nn.Module:
    """Return a copy of a model without a module of `ruled_kinds` that is used twice in a pass, or
    in place.

    Whatever is done to its modules, the model's stay as they are. The copy's answer is the model's,
    bit for bit. It is for one call: see `copy_modules`.

    Raises:
        AttributionError: the copy answers otherwise or cannot be made, or gates are edited, which a
            copy would not know.
    """
    if is_watching():
        raise AttributionError(
            "This method runs on a copy of the network, which the edits of its gates do not reach. "
            "Undo the edits, or choose a method that runs on the network itself, such as saliency."
        )
    # Frozen: a pass keeps nothing for the weights, and what bends them alone is no function of the
    # image.
    twin = _unroll(copy_modules(model))
    with torch.no_grad():
        expected = model(inputs)
        answer_of_twin, shared = run_apart(twin, model, inputs)
    if shared:
        raise AttributionError(
            f"This method runs on a private copy of the network. {say_shared(model, shared)} "
            "Choose a method that runs on the network itself, such as integrated_gradients."
        )
    for stand_in in stand_ins(twin):
        stand_in.counting = False
    if not _same(answer_of_twin, expected):
        raise AttributionError(
            f"{type(model).__name__} answers otherwise when each use of a ReLU has a module of its "
            "own, so that this method would explain another network. Choose a method without "
            "rules, such as integrated_gradients."
        )
    # Only now: each use has got its module.
    lend_findings(model, twin)
    return twin


def run_apart(twin: nn.Module, model: nn.Module, inputs: Tensor) -> tuple[object, list[nn.Module]]:
    """Return a copy's answer, and which of the model's own modules the copy ran on the way.

    A ``forward`` that was replaced by a function of Python's is not copied: it goes on to call what
    it holds.
    """
    met: list[nn.Module] = []

    def note(module: nn.Module, features: Any) -> Any:
        met.append(module)
        return features

    give = {module: partial(note, module) for module in model.modules()}
    with listening(Listener(model, {}, give=give)):
        answer = twin(inputs)
    return answer, met


def say_shared(model: nn.Module, shared: Sequence[nn.Module]) -> str:
    """Say why a copy that runs modules of the model itself is none."""
    return (
        f"The copy of {type(model).__name__} still runs the {type(shared[0]).__name__} of the "
        "network itself: a forward was replaced, or calls modules that are not its children."
    )


def _same(answer_of_twin: object, expected: object) -> bool:
    if (
        not isinstance(answer_of_twin, Tensor)
        or not isinstance(expected, Tensor)
        or answer_of_twin.shape != expected.shape
    ):
        return False
    # What is no number in both is the network's own, and not the copy's.
    return bool(((answer_of_twin == expected) | (answer_of_twin.isnan() & expected.isnan())).all())


def _unroll(model: nn.Module) -> nn.Module:
    # Here, as above.
    from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR

    # A module may hang in several places: all of them get the same stand-in, which counts all its
    # uses.
    unrolled: dict[nn.Module, Unrolled] = {}
    for parent in [*model.modules()]:
        for name, child in [*parent.named_children()]:
            if type(child) in ruled_kinds():
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
