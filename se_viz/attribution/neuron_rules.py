"""Rules on the way to one gate: a copy that ends there, and whether it runs anything that has a rule."""

from functools import partial

import torch
from torch import Tensor, nn

from se_viz.attribution.copies import RULED, rewind
from se_viz.attribution.methods import Method
from se_viz.errors import AttributionError
from se_viz.gates.hooks import Watch, watching
from se_viz.gates.neurons import Neuron, read_neuron


class Reader(nn.Module):
    """A network that ends at one gate, and returns it as (batch, 1)."""

    def __init__(self, model: nn.Module, neuron: Neuron) -> None:
        super().__init__()
        self.model, self.neuron = model, neuron

    def forward(self, images: Tensor) -> Tensor:
        """Return one number an image."""
        try:
            return read_neuron(self.model, images, self.neuron)[:, None]
        finally:
            # A copy counts the uses of its functions, and this pass has left some out.
            rewind(self.model)


def check_way(row: Method, reader: Reader, inputs: Tensor) -> None:
    """Refuse a method on a copy that ends at a gate to which no function leads that the method has a rule for.

    ``inputs`` require gradients: what counts is what these pass through, and not all that has run by then.

    Raises:
        AttributionError: its map would be another method's.
    """
    if _has_rule(reader, inputs, RULED if row.complete else (nn.ReLU,)):
        return
    if row.complete:
        raise AttributionError(
            f"{row.title} passes differences back through modules such as ReLU or Sigmoid, and none leads to this "
            f"{_word(reader)}: its map would be the plain gradient times the difference from the baseline. Choose "
            "Integrated Gradients."
        )
    raise AttributionError(
        f"{row.title} changes how ReLU modules pass gradients back, and none leads to this {_word(reader)}: its map "
        "would be the plain gradient. Choose Saliency or Input x Gradient."
    )


def _has_rule(reader: Reader, inputs: Tensor, kinds: tuple[type[nn.Module], ...]) -> bool:
    """Return whether the derivative of a gate passes through a module of such a kind."""
    met: list[Tensor] = []

    def note(output: Tensor) -> Tensor:
        met.append(output)
        return output

    give = {module: note for module in reader.modules() if type(module) in kinds}
    with watching(Watch(reader.model, {}, give=give)):
        value = reader(inputs).sum()
    slope = partial(torch.autograd.grad, value, retain_graph=True, allow_unused=True)
    # From the end: the block's own functions are next to its gate.
    return any(slope(output)[0] is not None for output in reversed(met) if output.requires_grad)


def _word(reader: Reader) -> str:
    return "gate's logit" if reader.neuron.logit else "gate"
