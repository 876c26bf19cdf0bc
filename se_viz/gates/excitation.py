"""A gate opened: every step of the excitation that made it, by the weights of the block itself.

Why: docs/decisions/007-arithmetic-of-a-block.md
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from se_viz.errors import ExcitationError
from se_viz.gates.alone import find_place, run_alone
from se_viz.gates.formula import Formula, Function, read_formula
from se_viz.gates.gains import plain_record
from se_viz.gates.records import GateRecord

# A GPU may multiply with ten bits of mantissa (TF32), and a block may compute in bfloat16: right
# arithmetic stays far below this, and a function that was not seen goes far beyond it.
_SLACK = 0.02
_REACH = 6.0
_POINTS = 121
# Standard deviations of a sum's rounding error that are allowed: a right sum of any length stays
# below them.
_DEVIATIONS = 4.0


@dataclass(frozen=True, slots=True)
class Excitation:
    """Every step from the squeeze of one image to the gates of one block: s = sigma(W2 delta(W1 z
    + b1) + b2).

    float32 on the CPU. Computed in double precision from the block's weights; what the block itself
    put out may differ by its rounding, and the three errors say by how much.
    """

    block: str
    """Name of the block's use, as `GateRecord.name`."""
    delta: str
    """Class of the function between the two layers, e.g. ``ReLU``."""
    sigma: str
    """Class of the function that makes the gate, e.g. ``Sigmoid``."""
    squeeze: Float[Tensor, "channels"]
    """z: each channel's summary, as it was captured."""
    reduce: Float[Tensor, "hidden channels"]
    """W1, from channels to the C / r hidden units."""
    reduce_bias: Float[Tensor, "hidden"]
    """b1; zeros where the layer has none."""
    before: Float[Tensor, "hidden"]
    """W1 z + b1: the hidden units before delta."""
    hidden: Float[Tensor, "hidden"]
    """h: the hidden units after delta."""
    expand: Float[Tensor, "channels hidden"]
    """W2, from hidden units back to channels."""
    expand_bias: Float[Tensor, "channels"]
    """b2; zeros where the layer has none."""
    logit: Float[Tensor, "channels"]
    """W2 h + b2: the pre-sigmoid values, or pre-activations of another sigma."""
    gate: Float[Tensor, "channels"]
    """s = sigma(W2 h + b2)."""
    curve: Float[Tensor, "2 points"]
    """Sigma sampled over the range of ``logit``, to be drawn: values, and the gates they would
    make."""
    hidden_error: float
    """Largest difference between ``hidden`` and what the block computed."""
    logit_error: float
    """Largest difference between ``logit`` and what the block computed."""
    gate_error: float
    """Largest difference between ``gate`` and the gates that were captured."""
    gate_rounding: float
    """Largest difference in the gates that the rounding of the block's precision explains."""
    exact: bool
    """Whether every value of all three steps differs by no more than rounding explains.

    If not, something acts in
    the block that the formula does not show, or the record was made in a lower precision."""

    @property
    def on(self) -> Bool[Tensor, "hidden"]:
        """Return which hidden units are above 0, and so pass something on."""
        return self.hidden > 0

    def terms(self, channel: int) -> tuple[Int[Tensor, "hidden"], Float[Tensor, "hidden"]]:
        """Return the terms w2_ck * h_k of one channel's ``logit``: hidden units and values, largest
        magnitude first.

        With ``expand_bias[channel]`` they sum to ``logit[channel]``.
        """
        values = self.expand[channel] * self.hidden
        units = values.abs().argsort(descending=True, stable=True)
        return units, values[units]


def open_gate(model: nn.Module, record: GateRecord, *, image: int = 0) -> Excitation:
    """Compute every step of a block's excitation for one captured image.

    ``record`` comes from a capture of this model without edits; ``image`` is a row of its batch.
    The block's layers give W1, b1, W2 and b2, its own functions are delta and sigma. Each step is
    compared with what the block puts out for the same squeeze, and the gates with those captured;
    ``exact`` says whether rounding alone explains the differences, by the probabilistic bound of
    Higham and Mary (SIAM Journal on Scientific Computing 41, 2019) on sums. The model is left as it
    was; other threads may use it meanwhile. Source: Hu et al., arXiv 1709.01507, eq. 3.

    Raises:
        NoSEBlocksError: the model has no such block.
        ExcitationError: the block makes its gates in another way than by two layers with a function
            between them, or the record is of another model or of edited gates.
    """
    return open_formula(model, record, image=image)[1]


def open_formula(
    model: nn.Module, record: GateRecord, *, image: int = 0
) -> tuple[Formula, Excitation]:
    """Return beside what `open_gate` returns the formula itself, whose functions can be called.

    Raises:
        NoSEBlocksError: as of `open_gate`.
        ExcitationError: as of `open_gate`.
    """
    record = plain_record(record)
    place = find_place(model, record)
    squeeze = record.squeeze[image]
    outputs: list[tuple[nn.Module, Tensor]] = []
    with torch.inference_mode(False), torch.no_grad():
        # A copy: what comes next may work in place.
        visit = run_alone(
            model,
            record,
            place,
            squeeze[None],
            lambda part, output: outputs.append((part, output.clone())),
        )
        assert visit.gate is not None
        captured = record.gate[image]
        if _furthest(visit.gate.reshape(-1), captured) > _slack(captured):
            raise ExcitationError(
                f"The record of {record.name} holds other gates than the block makes of its "
                "squeeze. Capture it again from this model, without edits."
            )
        formula = read_formula(visit, outputs)
        unit = _unit(formula.logit)
        return formula, _compute(record.name, formula, squeeze, captured, unit=unit)


def _compute(
    name: str, formula: Formula, squeeze: Tensor, captured: Tensor, *, unit: float
) -> Excitation:
    delta, sigma = formula.delta, formula.sigma
    block_values = (formula.hidden.flatten(), formula.logit.flatten(), captured)
    reduce, reduce_bias = formula.first.weight, formula.first.bias
    expand, expand_bias = formula.second.weight, formula.second.bias
    before = reduce @ squeeze.double() + reduce_bias
    hidden = _apply(delta, before)
    logit = expand @ hidden + expand_bias
    gate = _apply(sigma, logit)
    errors = [
        (value - block_value.double().cpu()).abs()
        for value, block_value in zip((hidden, logit, gate), block_values, strict=True)
    ]
    hidden_error, logit_error, gate_error = (error.max().item() for error in errors)
    if gate_error > _slack(gate):
        raise ExcitationError(_hidden_step(name, delta, sigma))
    layers = ((reduce, reduce_bias), (expand, expand_bias))
    bounds = _bound_errors(layers, (delta, sigma), (squeeze, before, hidden, logit), unit)
    exact = all(bool((error <= bound).all()) for error, bound in zip(errors, bounds, strict=True))
    return Excitation(
        block=name,
        delta=delta.name,
        sigma=sigma.name,
        squeeze=squeeze,
        reduce=reduce.float(),
        reduce_bias=reduce_bias.float(),
        before=before.float(),
        hidden=hidden.float(),
        expand=expand.float(),
        expand_bias=expand_bias.float(),
        logit=logit.float(),
        gate=gate.float(),
        curve=_sample(sigma, logit).float(),
        hidden_error=hidden_error,
        logit_error=logit_error,
        gate_error=gate_error,
        gate_rounding=bounds[2].max().item(),
        exact=exact,
    )


def _hidden_step(name: str, delta: Function, sigma: Function) -> str:
    """Say that the gates differ by more than rounding from what the formula makes."""
    return (
        f"{name} has two layers, {delta.name} and {sigma.name}, but these "
        "alone do not make its gates: something lies between them that cannot be seen. For every "
        "step choose another block."
    )


def _bound_errors(
    layers: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]],
    functions: tuple[Function, Function],
    values: tuple[Tensor, Tensor, Tensor, Tensor],
    unit: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Bound how far rounding may move hidden units, pre-sigmoid values and gates.

    ``values`` are what first layer, delta, second layer and sigma are given.
    """
    (reduce, reduce_bias), (expand, expand_bias) = layers
    delta, sigma = functions
    squeeze, before, hidden, logit = values
    # Each bound takes the one before it along: an error passes through every later step.
    before_bound = _sum_bound(reduce, squeeze.double(), reduce_bias, unit)
    hidden_bound = _through(delta, before, before_bound, unit)
    logit_bound = expand.abs() @ hidden_bound + _sum_bound(expand, hidden, expand_bias, unit)
    return hidden_bound, logit_bound, _through(sigma, logit, logit_bound, unit)


def _unit(value: Tensor) -> float:
    """Return the relative rounding error of one product in the precision in which a block computed
    a value.
    """
    # Records hold float32, whatever the block computes in.
    unit = max(torch.finfo(value.dtype).eps, torch.finfo(torch.float32).eps) / 2
    if value.dtype != torch.float32:
        return unit
    if value.is_cuda and (torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32):
        return 2.0**-11
    # PyTorch may multiply float32 in bfloat16 where it is told that this is precise enough.
    return 2.0**-9 if torch.get_float32_matmul_precision() == "medium" else unit


def _sum_bound(weight: Tensor, values: Tensor, bias: Tensor, unit: float) -> Tensor:
    """Bound the rounding error of ``weight @ values + bias``, whose errors add up like a random
    walk.
    """
    terms = weight.abs() @ values.abs() + bias.abs()
    return _DEVIATIONS * (len(values) + 1) ** 0.5 * unit * terms


def _through(function: Function, values: Tensor, bound: Tensor, unit: float) -> Tensor:
    """Bound how far a function of values may be off if these are off by ``bound``, with its own
    rounding.
    """
    middle = _apply(function, values)
    ends = [(_apply(function, values + sign * bound) - middle).abs() for sign in (-1, 1)]
    return torch.maximum(*ends) + 4 * unit * middle.abs()


def _sample(sigma: Function, logit: Tensor) -> Tensor:
    # To where a sigmoid levels off, or to the largest logit.
    reach = max(_REACH, 1.1 * logit.abs().max().item())
    grid = torch.linspace(-reach, reach, _POINTS, dtype=torch.float64)
    return torch.stack([grid, _apply(sigma, grid)])


def _apply(function: Function, values: Tensor) -> Tensor:
    # One value a row: a function of all channels, such as a softmax, then gives something else, and
    # is found out.
    return function.call(values[:, None].clone())[:, 0]


def _furthest(gate: Tensor, captured: Tensor) -> float:
    return (gate.double().cpu() - captured.double().cpu()).abs().max().item()


def _slack(gate: Tensor) -> float:
    return _SLACK * max(1.0, gate.abs().max().item())
