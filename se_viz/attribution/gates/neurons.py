"""Run one attribution method on one gate: which pixels opened it, or what they did to a class
through it.

Why: docs/decisions/020-a-gate-as-a-neuron.md
"""

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.attribution.catalogue import (
    CONDUCTANCE,
    LAYER_METHODS,
    TOGETHER,
    Method,
    find_neuron_method,
)
from se_viz.attribution.gates.neuron_rules import Reader, check_way
from se_viz.attribution.layers import LayerTask, TapRunner, run_in_memory
from se_viz.attribution.passes import (
    Slices,
    cap_piece,
    count_up,
    guide,
    lend_model,
    load_captum,
)
from se_viz.attribution.pixels import (
    ROUNDING,
    Explanation,
    Task,
    check_numbers,
    check_shares,
    explain,
    prepare,
)
from se_viz.attribution.question import (
    NeuronAttribution,
    Target,
    aim,
    check_inputs,
    check_question,
    collapse,
    in_words,
    network_dtype,
    run_with_options,
)
from se_viz.devices import Report, Turn, Watch, turn_with_gradients
from se_viz.errors import AttributionError
from se_viz.gates.neurons import Neuron, read_neuron
from se_viz.gates.taps import Spot, Tapped
from se_viz.networks import Network


def attribute_neuron(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    neuron: Neuron,
    method: str = "integrated_gradients",
    *,
    target: Target | int | None = None,
    baseline: str = "mean",
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
    **options: Any,
) -> NeuronAttribution:
    """Explain one gate of a network, or its pre-sigmoid value, for one image with a Captum method.

    As `attribute` explains a logit of the answer: the gate is the output of a network that ends
    there, so that this is Captum's neuron attribution, without a hook that other passes on the
    device could run through. DeepLift runs on a copy of the network. ``conductance`` alone
    explains a class, ``target``, by what came through the gate; through its pre-sigmoid value came
    the same, as all of it goes on through the gate.

    Raises:
        AttributionError: no such method or class, an option that Captum refuses, or rules that do
            not fit what leads to the gate.
        TooLittleMemoryError: not even one image fits into a pass.
        CaptureError: the network has no such gate, or it cannot be read.
        NoSEBlocksError: the network has no such block.
        BusyError: too many wait for the device.
    """
    row = find_neuron_method(method)
    goal = _aim(network, row, inputs, target)
    # Before the turn: its first import takes more than a second.
    load_captum()
    arguments = {"baseline": baseline, "watch": watch, "report": report}
    return run_with_options(
        network,
        inputs,
        partial(_attribute, network, inputs, neuron, row, goal, **arguments),
        options,
    )


def _attribute(
    network: Network,
    inputs: Tensor,
    neuron: Neuron,
    row: Method,
    goal: Target | None,
    *,
    baseline: str,
    watch: Watch,
    report: Report,
    **options: Any,
) -> NeuronAttribution:
    with turn_with_gradients(network.device, watch) as turn:
        # A copy: no gradient may come to the tensor of the caller.
        inputs = inputs.detach().to(network_dtype(network), copy=True).requires_grad_()
        settings = prepare(network, row, inputs, baseline=baseline, options=options)
        value = _read(network, row, inputs, neuron)
        passes = row.passes({**settings, **options}, shape=tuple(inputs.shape[1:]))[0]
        with lend_model(network, row, inputs, passes=passes) as model:
            task = _NeuronTask(network, row, inputs, neuron, goal, settings, passes)
            explanation = _run(task, model, turn, report)
    if row.copied:
        check_shares(
            row, explanation.error, explanation.explained, least=ROUNDING * max(1.0, abs(value))
        )
    return NeuronAttribution(
        method=row.key,
        neuron=neuron,
        map=explanation.map,
        signed=row.signed,
        seconds=explanation.seconds,
        value=value,
        completeness_error=explanation.error,
        explained=explanation.explained,
        target=goal,
    )


@dataclass(frozen=True, slots=True)
class _NeuronTask:
    """What one method is asked about one gate."""

    network: Network
    row: Method
    inputs: Tensor
    neuron: Neuron
    target: Target | None
    settings: dict[str, Any]
    passes: int


def _aim(network: Network, row: Method, inputs: Any, target: Any) -> Target | None:
    """Return the class that a method needs, and refuse one that it would not look at."""
    if row is not CONDUCTANCE and target is None:
        check_inputs(network, inputs)
        return None
    if row is not CONDUCTANCE:
        raise AttributionError(
            f"{row.title} explains the gate, whatever the class. Leave the target out, or use "
            f"{CONDUCTANCE.key}."
        )
    if target is None:
        raise AttributionError(
            f"{row.title} explains a class by what came through the gate. Give one as target."
        )
    goal = aim(target)
    check_question(network, inputs, goal)
    return goal


@torch.no_grad()
def _read(network: Network, row: Method, inputs: Tensor, neuron: Neuron) -> float:
    # On the network itself: as a capture reads it, to the bit.
    with in_words(row.title, network.device):
        return read_neuron(network.model, inputs, neuron).item()


def _run(task: _NeuronTask, model: nn.Module, turn: Turn, report: Report) -> Explanation:
    if task.target:
        return _conduct(task, model, turn, report)
    row = task.row
    reader = Reader(model, task.neuron, task.inputs.dtype)
    device = task.network.device
    most = cap_piece(task.settings.get(row.piece, TOGETHER), device)
    slices = Slices(reader, device, turn, most=most)
    slices.note = count_up(report, task.passes)
    # Captum's hooks hang on the copy's own modules, and see one pass alone.
    pixels = Task(row, reader if row.copied else slices, task.inputs, 0)
    if row.guided:
        with in_words(row.title, device):
            check_way(row, reader, task.inputs)
        pixels = replace(pixels, forward=guide(row, reader, model))
    return explain(pixels, slices, task.settings)


def _conduct(task: _NeuronTask, model: nn.Module, turn: Turn, report: Report) -> Explanation:
    assert task.target
    # The name of a block's second use is that of the block and #2.
    path, _, use = task.neuron.block.partition("#")
    gates = Spot(path, call=int(use or 1) - 1, gates=True)
    passes = TapRunner(Tapped(model, [gates], task.target.read), turn, report)
    # As a layer method runs that asks for passes of its own.
    row = replace(
        LAYER_METHODS[task.row.key],
        algorithm=task.row.algorithm,
        cost=lambda steps, _: (steps, steps),
    )
    settings = {**task.settings, "neuron_selector": task.neuron.channel}
    started = time.perf_counter()
    with in_words(task.row.title, task.network.device):
        values = run_in_memory(
            LayerTask(task.network, row, task.inputs, task.target, settings), passes
        )
    check_numbers(task.row, values)
    heat = collapse(values, task.row.channels).detach().float().cpu()
    return Explanation(heat, time.perf_counter() - started - passes.away, None, None)
