"""Run one attribution method on one gate: which pixels opened it."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.attribution.calls import Task, prepare
from se_viz.attribution.catalogue import METHODS, find_method
from se_viz.attribution.limits import check_inputs
from se_viz.attribution.perturbing import TOGETHER
from se_viz.attribution.records import NeuronAttribution
from se_viz.attribution.run import explain
from se_viz.attribution.slices import Slices, cap_piece
from se_viz.errors import AttributionError
from se_viz.gates.neurons import Neuron, read_neuron
from se_viz.line import Watch
from se_viz.networks import Network
from se_viz.runtime import line_of

NEURON_METHODS = {key: row for key, row in METHODS.items() if not row.layered and not row.copied}
"""The methods that explain one number by the input, by key."""


def attribute_neuron(
    network: Network,
    inputs: Float[Tensor, "1 3 height width"],
    neuron: Neuron,
    method: str = "integrated_gradients",
    *,
    baseline: str = "mean",
    watch: Watch = lambda _: None,
    **options: Any,
) -> NeuronAttribution:
    """Explain one gate of a network, or its logit, for one image with a Captum method.

    As `attribute` explains a logit of the answer: the gate is the output of a network that ends there, so that
    this is Captum's neuron attribution, without a hook that other passes on the device could run through.

    Raises:
        AttributionError: no such method, an option that Captum refuses, or too little memory.
        CaptureError: the network has no such gate, or it cannot be read.
        NoSEBlocksError: the network has no such block.
        BusyError: too many wait for the device.
    """
    row = find_method(method)
    if method not in NEURON_METHODS:
        raise AttributionError(f"{row.title} explains no gate here. Choose one of: {', '.join(NEURON_METHODS)}.")
    check_inputs(network, inputs)
    # Inference mode of the caller would keep gradients off, whatever else is set.
    with line_of(network.device).turn(watch, sliced=True) as turn, torch.inference_mode(False), torch.enable_grad():
        inputs = inputs.detach().clone().requires_grad_()
        settings = prepare(network, row, inputs, baseline=baseline, options=options)
        most = cap_piece(settings.get(row.piece, TOGETHER), network.device)
        slices = Slices(partial(_read, network.model, neuron), network.device, turn, most=most)
        found = explain(Task(row, slices, None, inputs, 0), slices, settings)
        with torch.no_grad():
            # Not in slices: as a capture reads it, to the bit.
            value = _read(network.model, neuron, inputs).item()
    return NeuronAttribution(
        method=method,
        neuron=neuron,
        map=found.map,
        signed=row.signed,
        seconds=found.seconds,
        value=value,
        completeness_error=found.error,
        explained=found.explained,
    )


def _read(model: nn.Module, neuron: Neuron, images: Tensor) -> Tensor:
    return read_neuron(model, images, neuron)[:, None]
