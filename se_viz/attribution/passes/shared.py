"""One pass of one image there and back, shared by the feature maps that a method asks no more
of.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.attribution.question import Target
from se_viz.devices import lay_out
from se_viz.gates.taps import Spot, Tapped


class Replay(nn.Module):
    """A network as one pass of one image saw it at one feature map: the same answer, the same
    derivative by that map.

    For methods that need nothing else. They hang their hooks on `tap`, and run no network however
    often they call.
    """

    def __init__(self, answer: Tensor, features: Tensor, slopes: Tensor) -> None:
        super().__init__()
        self.tap: nn.Module = nn.Identity()
        self._answer = answer
        self._features = features
        self._slopes = slopes

    def forward(self, _: Tensor) -> Tensor:
        """Return the answer, (1, 1), whatever the image."""
        # A copy: what was seen must not get a graph, nor be written to.
        features = self.tap(self._features.clone().requires_grad_())
        return self._answer + ((features - self._features) * self._slopes).sum()


class _Note(nn.Module):
    """Keeps what passes through it."""

    features: Tensor

    def forward(self, features: Tensor) -> Tensor:
        self.features = features
        return features


def view_spots(
    model: nn.Module,
    target: Target,
    inputs: Float[Tensor, "1 channels *sides"],
    spots: Sequence[Spot],
) -> dict[Spot, Replay]:
    """Return what one pass of an image saw at each spot; nothing of it outlives what is returned.

    To be asked by who has the turn on the model's device.

    Raises:
        CaptureError: no pass comes through a spot, or what is there is no feature map.
        torch.OutOfMemoryError: the pass does not fit into memory.
    """
    tapped = Tapped(model, spots, target.read)
    notes = [_Note() for _ in spots]
    tapped.taps = nn.ModuleList(notes)
    # Captum's methods may have turned gradients off around it.
    with torch.enable_grad():
        answer = tapped(lay_out(inputs.detach()).requires_grad_())[:, None]
    features = [note.features for note in notes]
    # What the answer does not depend on has a derivative too: 0.
    slopes = torch.autograd.grad(answer, features, materialize_grads=True)
    rows = zip(spots, features, slopes, strict=True)
    return {spot: Replay(answer.detach(), seen.detach(), slope) for spot, seen, slope in rows}
