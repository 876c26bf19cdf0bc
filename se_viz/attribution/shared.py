"""One pass of one image there and back, shared by all methods that ask no more of the network."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.attribution.kept import kept_with
from se_viz.attribution.places import end_spots
from se_viz.attribution.slices import Recall
from se_viz.attribution.targets import Target
from se_viz.errors import CaptureError
from se_viz.gates.taps import Spot, Tapped
from se_viz.networks import Network
from se_viz.runtime import lay_out


class Replay(nn.Module):
    """A network as one pass of one image saw it at one feature map: the same answer, the same derivative by that map.

    For methods that need nothing else. They hang their hooks on `tap`, and run no network however often they call.
    """

    def __init__(self, answer: Tensor, features: Tensor, slopes: Tensor) -> None:
        super().__init__()
        self.tap: nn.Module = nn.Identity()
        self._answer, self._features, self._slopes = answer, features, slopes

    def forward(self, _: Tensor) -> Tensor:
        """Return the answer, (1, 1), whatever the image."""
        # A copy: what is kept must not get a graph, nor be written to.
        features = self.tap(self._features.clone().requires_grad_())
        return self._answer + ((features - self._features) * self._slopes).sum()


class _Note(nn.Module):
    """Keeps what passes through it."""

    features: Tensor

    def forward(self, features: Tensor) -> Tensor:
        self.features = features
        return features


class SharedPass:
    """What methods ask of one network, for one answer, about single images."""

    def __init__(self, network: Network, target: Target) -> None:
        """To be made, and used, by who has the turn on the network's device, with gradients on."""
        self._network, self._target = network, target
        self._kept = kept_with(network.model)

    def view(self, inputs: Float[Tensor, "1 3 height width"], spots: Sequence[Spot]) -> dict[Spot, Replay]:
        """Return what one pass saw at each spot, which needs no pass if others have asked for all of them.

        Raises:
            CaptureError: no pass comes through a spot, or what is there is no feature map.
            torch.OutOfMemoryError: the pass does not fit into memory.
        """
        found = {spot: self._kept.find(("seen", spot, self._target), inputs) for spot in spots} if self._kept else {}
        if not found or None in found.values():
            _, _, found = self._run(inputs, spots)
        return {spot: Replay(*seen) for spot, seen in found.items()}

    def remember(self, model: nn.Module) -> Recall:
        """Return what is asked for single images before ``model`` runs, the network's own or its swift copy.

        A derivative by the image comes from a pass that sees the last stage's end too.
        """
        kept, swift = self._kept, model is not self._network.model

        def recall(what: str, images: Tensor, run: Callable[[Tensor], Any]) -> Any:
            if kept is None:
                return run(images)
            if what == "slopes" and not swift:
                run = self._find_slopes
            return kept.recall((what, self._target, swift), images, run)

        return recall

    def _find_slopes(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        ends = end_spots(self._network.inspection.sites)
        try:
            answer, slopes, _ = self._run(inputs, [ends[max(ends)]] if ends else [], by_image=True)
        except CaptureError:
            # What ends the stage is no feature map, which does not matter to the image.
            answer, slopes, _ = self._run(inputs, [], by_image=True)
        return answer, slopes[-1]

    def _run(
        self, inputs: Tensor, spots: Sequence[Spot], *, by_image: bool = False
    ) -> tuple[Tensor, tuple[Tensor, ...], dict[Spot, tuple[Tensor, Tensor, Tensor]]]:
        """Return the answer, its derivatives by each spot and, last, the image, and what is replayed of each spot."""
        tapped, noted = Tapped(self._network.model, spots, self._target.read), [_Note() for _ in spots]
        tapped.taps = nn.ModuleList(noted)
        # Captum's methods may have turned gradients off around it.
        with torch.enable_grad():
            images = lay_out(inputs.detach()).requires_grad_()
            answer = tapped(images)[:, None]
        by = [*(note.features for note in noted), *([images] if by_image else [])]
        # What the answer does not depend on has a derivative too: 0.
        slopes = torch.autograd.grad(answer, by, materialize_grads=True)
        answer, rows = answer.detach(), zip(spots, noted, slopes, strict=False)
        seen = {spot: (answer, note.features.detach(), slope) for spot, note, slope in rows}
        if self._kept:
            for spot, one in seen.items():
                self._kept.keep(("seen", spot, self._target), inputs, one)
        return answer, slopes, seen
