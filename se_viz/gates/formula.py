"""The two layers and the two functions of an excitation, read from a run of a block."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from se_viz.errors import ExcitationError
from se_viz.gates.following import NAMES, Step
from se_viz.gates.listeners import Visit
from se_viz.gates.places import Place
from se_viz.gates.sites import LAYERS

_NOTHING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Flatten, nn.Unflatten)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: double precision on the CPU."""

    weight: Tensor
    """(outputs, inputs)."""
    bias: Tensor
    """(outputs,); zeros where the layer has none."""
    has_bias: bool
    """Whether it has one."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of each value by itself."""

    name: str
    """Its class, e.g. ``ReLU``."""
    call: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Formula:
    """s = sigma(W2 delta(W1 z + b1) + b2), as a block has it, and what it computed on the way."""

    first: Layer
    delta: Function
    second: Layer
    sigma: Function
    hidden: Tensor
    """What delta put out."""
    logit: Tensor
    """What the second layer put out."""


def read_formula(visit: Visit, outputs: Sequence[tuple[nn.Module, Tensor]]) -> Formula:
    """Return what one run of a block shows; ``outputs`` are of its parts, in their order.

    Raises:
        ExcitationError: these two layers and two functions are not all that it runs.
    """
    if visit.product is not None:
        return _follow(visit.place, visit.product.origin.chain, visit.channels)
    place = visit.place
    first, delta, second = _steps(place, [part for part, _ in outputs], visit.channels)
    values = dict(outputs)
    return Formula(
        _read(first),
        Function(type(delta).__name__, delta),
        _read(second),
        Function(type(place.gate).__name__, place.gate),
        values[delta],
        values[second],
    )


def _follow(place: Place, chain: tuple[Any, ...] | None, channels: int) -> Formula:
    """Return the formula that the functions of a pass are, the weights among their arguments."""
    if not chain:
        raise _refuse(place, ["several values that come together"], "")
    links: list[tuple[Step, Tensor]] = [*chain]
    # What adds a weight is a bias.
    layers = [index for index, (step, _) in enumerate(links) if step.weighs and step.name != "add"]
    pair = [_layer(links[index][0]) for index in layers]
    first, second = pair if len(pair) == 2 else (None, None)
    if first is None or second is None or layers[1] == layers[0] + 1:
        raise _refuse(place, [_name(step) for step, _ in links], "")
    if (first.weight.shape[1], *second.weight.shape) != (channels, channels, len(first.weight)):
        raise _refuse(place, [_name(step) for step, _ in links], "")
    first, between = _take_bias(first, links[layers[0] + 1 : layers[1]])
    second, after = _take_bias(second, links[layers[1] + 1 :])
    functions = [step for step, _ in (*between, *after)]
    if not between or any(_has_values(step) for step in functions):
        raise _refuse(place, [_name(step) for step, _ in links], "")
    return Formula(
        first,
        _compose([step for step, _ in between]),
        second,
        _compose([step for step, _ in after]),
        links[layers[1] - 1][1],
        links[len(links) - len(after) - 1][1],
    )


def _take_bias(
    layer: Layer, links: list[tuple[Step, Tensor]]
) -> tuple[Layer, list[tuple[Step, Tensor]]]:
    """Return a layer with what is added to its outputs at once, and what comes after that."""
    while links and links[0][0].name == "add" and _has_values(links[0][0]):
        (values,) = _others(links[0][0])
        if values.numel() != len(layer.bias) or links[0][0].kwargs:
            break
        bias = layer.bias + values.detach().flatten().double().cpu()
        layer = Layer(layer.weight, bias, has_bias=True)
        links = links[1:]
    return layer, links


def _has_values(step: Step) -> bool:
    """Return whether a function has several values beside its input, as a bias is."""
    return any(value.numel() > 1 for value in _others(step))


def _others(step: Step) -> list[Tensor]:
    return [value for value in step.tensors if value is not step.data[0][0]]


def _layer(step: Step) -> Layer | None:
    if step.name not in ("linear", "conv1d", "conv2d", "conv3d") or len(step.args) < 2:
        return None
    weight = step.args[1]
    if weight[0, 0].numel() != 1 or (step.args[6] if len(step.args) > 6 else 1) != 1:
        return None
    bias = step.args[2] if len(step.args) > 2 else step.kwargs.get("bias")
    return _double(weight, bias)


def _compose(steps: Sequence[Step]) -> Function:
    """Return several functions, one after the other, as one."""

    def call(values: Tensor) -> Tensor:
        for step in steps:
            given = step.data[0][0]
            args = [values if value is given else value for value in step.args]
            values = step.func(*args, **step.kwargs)
        return values

    named = [_name(step) for step in steps if step.name not in ("mul", "div", "add", "sub")]
    return Function(named[-1] if named else "Identity", call)


def _name(step: Step) -> str:
    return NAMES.get(step.name, step.name)


def _read(layer: nn.Module) -> Layer:
    assert isinstance(layer, LAYERS)
    return _double(layer.weight, layer.bias)


def _double(weight: Tensor, bias: Tensor | None) -> Layer:
    weight = weight.detach().flatten(1).double().cpu()
    if bias is None:
        return Layer(weight, weight.new_zeros(len(weight)), has_bias=False)
    return Layer(weight, bias.detach().double().cpu(), has_bias=True)


def _steps(
    place: Place, parts: list[nn.Module], channels: int
) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return first layer, delta and second layer, if these and the gate are all that the
    excitation runs.
    """
    first = [part for part in place.squeeze.modules() if isinstance(part, LAYERS)]
    inside = {*place.gate.modules()}
    # What pools runs before the first layer.
    start = parts.index(first[0]) if first and first[0] in parts else 0
    chain = [
        part for part in parts[start:] if part not in inside and not isinstance(part, _NOTHING)
    ]
    if len(chain) == 3 and _is_pair(chain[0], chain[2], channels) and not [*chain[1].parameters()]:
        return chain[0], chain[1], chain[2]
    runs = [type(part).__name__ for part in [*chain, place.gate]]
    raise _refuse(place, runs, _nearly(chain, channels))


def _refuse(place: Place, runs: Sequence[str], nearly: str) -> ExcitationError:
    return ExcitationError(
        f"{place.path} ({place.row.form}) makes its gates by {', '.join(runs)}, not by the paper's "
        f"layer, function, layer and function{nearly}. Its squeeze and its gates can be read; for "
        "every step between them choose another block."
    )


def _nearly(chain: list[nn.Module], channels: int) -> str:
    """Say what keeps a block with the paper's two layers from being opened."""
    if len(chain) == 2 and _is_pair(chain[0], chain[1], channels):
        return (
            ": between its layers no module runs, and a function that is called as such (F.relu) "
            "cannot be seen"
        )
    if len(chain) == 3 and _is_pair(chain[0], chain[2], channels):
        return (
            f": {type(chain[1]).__name__} has weights of its own, for which the formula has no "
            "letter"
        )
    return ""


def _is_pair(first: nn.Module, second: nn.Module, channels: int) -> bool:
    if not (isinstance(first, LAYERS) and isinstance(second, LAYERS)):
        return False
    down, up = (layer.weight.flatten(1).shape for layer in (first, second))
    return (down[1], up[0], up[1]) == (channels, channels, down[0])
