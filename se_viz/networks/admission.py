"""What a caller gives to make a network of, checked before anything runs.

Every refusal is one sentence.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from itertools import chain
from math import isfinite
from typing import Any

import torch
from torch import nn

from se_viz.errors import NetworkError, SeVizError
from se_viz.gates import Inspection, inspect_gates
from se_viz.gates.inspection import evaluating
from se_viz.readings import model_inside

MAX_SIDE = 4096
"""Largest side of an input, in pixels."""

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)
_PROBABILITIES = {"SoftmaxBackward0": "softmax", "SigmoidBackward0": "sigmoid"}
"""Steps that make probabilities, as autograd names them."""
_PASSED_ON = re.compile(
    "(View|UnsafeView|ReshapeAlias|Squeeze|Unsqueeze|ToCopy|Clone|Alias|UpsampleBilinear2D)"
    "Backward[0-9]"
)
"""Steps that change no number, or make probabilities of probabilities."""
_QUANTISED = ("torch.ao.nn.quantized.modules", "torch.ao.nn.intrinsic.quantized.modules")
"""Where PyTorch keeps modules that compute in whole numbers."""


def admit_model(model: Any) -> nn.Module:
    """Return the model that runs: itself, or the one inside of a wrapper that spreads it over
    devices.

    Raises:
        NetworkError: it is no module, scripted, without its values, or on several devices.
    """
    if isinstance(model, _WRAPPERS):
        model = model.module
    if not isinstance(model, nn.Module):
        raise NetworkError(
            f"A {type(model).__name__} is no model. Give a `torch.nn.Module` with its weights "
            "loaded."
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise NetworkError(
            "The model is scripted or traced (TorchScript), which hides its SE blocks. Give the "
            "model it was made from."
        )
    if any(nn.parameter.is_lazy(value) for value in chain(model.parameters(), model.buffers())):
        raise NetworkError(
            f"{type(model).__name__} has lazy layers whose shapes are not known yet. Run it once "
            "on an image, load its weights, and give it then."
        )
    if any(type(part).__module__.startswith(_QUANTISED) for part in model.modules()):
        raise NetworkError(
            f"{type(model).__name__} is quantised: it computes in whole numbers, and nothing can "
            "be explained through them. Give the model it was made from, in floating point; "
            "`capture_gates` shows the gates of this one."
        )
    places = {str(value.device) for value in chain(model.parameters(), model.buffers())}
    if "meta" in places:
        raise NetworkError(
            f"{type(model).__name__} has values on PyTorch's meta device, which holds none. Load "
            "its weights to a device, e.g. by `model.to_empty(device='cpu')` and "
            "`model.load_state_dict(...)`."
        )
    if len(places) > 1:
        raise NetworkError(
            f"{type(model).__name__} lies on several devices ({', '.join(sorted(places))}). Move "
            "it to one: `model.to('cpu')`."
        )
    return model


def inspect_model(model: nn.Module, shape: tuple[int, ...]) -> Inspection:
    """Inspect a caller's model with one input of a shape: channels and sides.

    Raises:
        SeVizError: as `inspect_gates`.
        NetworkError: its pass fails.
    """
    try:
        return inspect_gates(model, size=shape)
    except SeVizError:
        raise
    except Exception as error:
        # A stranger's code may raise anything; what it says is the best there is.
        words = " ".join(str(error).split())[:200]
        raise NetworkError(
            f"{type(model_inside(model)).__name__} does not run on one {_describe(shape)} "
            f"({type(error).__name__}: {words}). Give a model of {(1, *shape)} inputs, or wrap it "
            f"in one; name another {'side' if _is_photo(shape) else 'shape'} with `input_size`."
        ) from error


def _is_photo(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] == 3 and shape[1] == shape[2]


def _describe(shape: tuple[int, ...]) -> str:
    if _is_photo(shape):
        return f"image of three colours and {shape[1]} x {shape[2]} pixels"
    return f"input of the shape {'x'.join(map(str, shape))}"


def check_logits(
    model: nn.Module,
    shape: tuple[int, ...],
    show: Callable[[nn.Module, torch.Tensor], torch.Tensor] | None = None,
) -> None:
    """Refuse a model that returns probabilities, of which a second softmax or sigmoid would make
    others.

    A logarithm of a softmax is fine: the softmax of that is the softmax itself. ``show`` runs the
    model and returns what is looked at, where it returns something else.

    Raises:
        NetworkError: its answer is made by a softmax or a sigmoid, or is not of floating point.
    """
    like = next(
        (
            value
            for value in chain(model.parameters(), model.buffers())
            if value.is_floating_point()
        ),
        None,
    )
    like = torch.zeros(()) if like is None else like
    with evaluating(model), torch.inference_mode(False), torch.enable_grad():
        image = torch.zeros((1, *shape), dtype=like.dtype, device=like.device, requires_grad=True)
        try:
            # A copy: the first layer may write into what it is given.
            answer = show(model, image.clone()) if show else model(image.clone())
        except Exception:
            # It has run without gradients; those that it does not know are for methods that need
            # them to tell.
            return
    if not answer.is_floating_point():
        raise NetworkError(
            f"{type(model).__name__} returns numbers of the kind {answer.dtype}, and logits are "
            "floating point. Give the model with the layer that makes them."
        )
    node = answer.grad_fn
    while node is not None and _PASSED_ON.fullmatch(node.name()) and node.next_functions:
        node = node.next_functions[0][0]
    if node is not None and node.name() in _PROBABILITIES:
        raise NetworkError(
            f"{type(model).__name__} returns probabilities, for its last step is a "
            f"{_PROBABILITIES[node.name()]}: made once more of them, they would be others. Give "
            "the model without that step, so that it returns logits."
        )


def read_side(value: Any) -> int:
    """Return the side of the input.

    Raises:
        NetworkError: it is no whole number from 1 to `MAX_SIDE`.
    """
    # True is a whole number to Python, and hardly meant for one.
    with suppress(TypeError):
        if not isinstance(value, bool) and 1 <= operator.index(value) <= MAX_SIDE:
            return operator.index(value)
    raise NetworkError(
        f"The input size {value!r} is no side of a square in pixels. Give one whole number from 1 "
        f"to {MAX_SIDE}: networks see square images of three colours here."
    )


def read_colours(
    name: str, values: Any, *, least: float = float("-inf")
) -> tuple[float, float, float]:
    """Return one number for each of red, green and blue, above ``least``.

    Raises:
        NetworkError: these are others.
    """
    with suppress(TypeError, ValueError):
        red, green, blue = map(float, values)
        if all(isfinite(value) and value > least for value in (red, green, blue)):
            return red, green, blue
    above = "" if least < 0 else f" above {least:g}"
    raise NetworkError(
        f"{name} is {values!r}, and networks see three colours here. Give three numbers{above}: "
        "for red, green and blue."
    )


def read_classes(classes: Any) -> tuple[str, ...]:
    """Return names of classes; none are fine.

    Raises:
        NetworkError: they have no order, or a name is empty or no text.
    """
    if classes is None:
        return ()
    # A text is a sequence of texts to Python, and hardly meant for one.
    if isinstance(classes, str | bytes | Set | Mapping) or not isinstance(classes, Iterable):
        raise NetworkError(
            f"classes is a {type(classes).__name__}, and no list of names. Give a list, in the "
            "order of the logits."
        )
    names = tuple(classes)
    if odd := [name for name in names if not isinstance(name, str) or not name.strip()]:
        raise NetworkError(
            f"The class name {odd[0]!r} is no text. Name every class, e.g. by `[str(name) for name "
            "in names]`."
        )
    return tuple(map(str, names))


def check_answer(returned: tuple[int, ...] | str, title: str, classes: Sequence[str] | None) -> int:
    """Return the number of logits that a model returns.

    With None for ``classes`` any number is right.

    Raises:
        NetworkError: it returns something else, or not one logit for each class.
    """
    if isinstance(returned, str) or len(returned) != 2 or returned[0] != 1 or not returned[1]:
        raise NetworkError(
            f"{title} returns {returned} for one image, and se_viz needs a classifier's (1, "
            "classes) logits. Say what its answer is: segments, boxes, embedding or value; or wrap "
            "the model in a module that returns logits."
        )
    count = returned[1]
    if classes is None:
        return count
    if count == 1 < len(classes):
        raise NetworkError(
            f"{title} returns 1 value for {len(classes)} class names: a single logit is the yes or "
            f"no of one class. Name that class alone, e.g. classes=[{classes[-1]!r}]; its negation "
            "needs no name."
        )
    if count != len(classes):
        raise NetworkError(
            f"{title} returns {count} values for {len(classes)} class names: its last layer is not "
            "the classifier that they name. Give the network with its classifier, or name every "
            "class, in the order of the logits."
        )
    return count
