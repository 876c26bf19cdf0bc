"""Rules on the way to one gate: a copy that ends there, and whether any ReLU leads to it."""

from functools import partial

import torch
from torch import Tensor, nn

from se_viz.attribution.catalogue import Method
from se_viz.attribution.passes import rewind
from se_viz.errors import AttributionError
from se_viz.gates.hooks import listening
from se_viz.gates.listeners import Listener
from se_viz.gates.neurons import Neuron, read_neuron


class Reader(nn.Module):
    """A network that ends at one gate, and returns it as (batch, 1)."""

    def __init__(
        self, model: nn.Module, neuron: Neuron, dtype: torch.dtype = torch.float32
    ) -> None:
        """Take images of any precision, and give them to the model in ``dtype``: methods draw
        noise in float32.
        """
        super().__init__()
        self.model = model
        self.neuron = neuron
        self._dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        """Return one number an image."""
        try:
            return read_neuron(self.model, images.to(self._dtype), self.neuron)[:, None]
        finally:
            # A copy counts the uses of its functions, and this pass has left some out.
            rewind(self.model)


def check_way(row: Method, reader: Reader, inputs: Tensor) -> None:
    """Refuse a method that changes ReLU modules where a copy ends at a gate to which none of them
    leads.

    ``inputs`` require gradients: what counts is what these pass through, and not all that has run
    by then.

    Raises:
        AttributionError: its map would be the plain gradient.
    """
    if not _has_relu(reader, inputs):
        what = "the value before this gate's function" if reader.neuron.logit else "this gate"
        raise AttributionError(
            f"{row.title} changes how ReLU modules pass gradients back, and none leads to "
            f"{what}: its map would be the plain gradient. Choose Saliency or Input x Gradient."
        )


def _has_relu(reader: Reader, inputs: Tensor) -> bool:
    """Return whether the derivative of a gate passes through a ReLU module."""
    outputs: list[Tensor] = []

    def note(output: Tensor) -> Tensor:
        outputs.append(output)
        return output

    relus: list[nn.Module] = [module for module in reader.modules() if type(module) is nn.ReLU]
    with listening(Listener(reader.model, {}, give=dict.fromkeys(relus, note))):
        value = reader(inputs).sum()
    slope = partial(torch.autograd.grad, value, retain_graph=True, allow_unused=True)
    # From the end: the block's own functions are next to its gate.
    return any(slope(output)[0] is not None for output in reversed(outputs) if output.requires_grad)
