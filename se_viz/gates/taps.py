"""Spots of a network, and the network with parts of one's own there, that others may hang hooks on.

Why: docs/decisions/019-feature-maps-through-taps.md
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from torch import Tensor, nn

from se_viz.errors import CaptureError
from se_viz.gates.edits import edit_gates
from se_viz.gates.hooks import listening
from se_viz.gates.listeners import Listener
from se_viz.gates.places import scan_model


@dataclass(frozen=True, slots=True)
class Spot:
    """One feature map of a network, which a module takes in or puts out, or the gates of an SE
    block.
    """

    path: str
    """Dotted path of the module."""
    after: bool = True
    """Whether it is what the module puts out; of an SE block that is X~, else U."""
    call: int = 0
    """0 for the module's first use in a pass, 1 for its second, ..."""
    gates: bool = False
    """Whether it is the gates that an SE block multiplies by, as (batch, channels), and no feature
    map."""


class Tapped(nn.Module):
    """A model whose values at some spots pass through `taps`, which change nothing and belong to
    this object.

    Hooks on a tap see and change its feature map as (batch, channels, height, width), whatever the
    block's own order of axes, in passes of this object alone: others may use the model meanwhile.
    What a tap is given or puts out is overwritten by no later layer.
    """

    def __init__(
        self, model: nn.Module, spots: Sequence[Spot], read: Callable[[Tensor], Tensor]
    ) -> None:
        """Tap a model, whose answers go through ``read``.

        Raises:
            AttributeError: it has no module of such a path.
        """
        super().__init__()
        self.model = model
        self.spots = tuple(spots)
        self.read = read
        self.taps = nn.ModuleList(nn.Identity() for _ in spots)
        blocks = scan_model(model).blocks
        places = [blocks.get(model.get_submodule(spot.path)) for spot in spots]
        self._last = [place is not None and place.row.channels_last for place in places]

    def forward(self, images: Tensor) -> Tensor:
        """Return what is read from the model's answer.

        Raises:
            CaptureError: no pass comes through a spot, or what is there is no feature map.
        """
        met = set[Spot]()
        listener = Listener(self.model, {})
        listener.take, listener.give = (self._changes(after, met) for after in (False, True))
        # An edit is of a block, so that its uses are counted as they come.
        gates = {
            spot.path: self._change(replace(spot, call=0), met) for spot in self.spots if spot.gates
        }
        with listening(listener), edit_gates(self.model, gates) if gates else nullcontext():
            answer = self.read(self.model(images))
        if missing := [spot.path for spot in self.spots if spot not in met]:
            raise CaptureError(
                f"{missing[0]} is not used so often in a pass. Choose one of its uses."
            )
        return answer

    def _changes(self, after: bool, met: set[Spot]) -> dict[nn.Module, Callable[[Tensor], Tensor]]:
        """Return for each module what is done on one side of it, which notes the spots that are
        met.
        """
        paths = dict.fromkeys(
            spot.path for spot in self.spots if spot.after is after and not spot.gates
        )
        return {
            self.model.get_submodule(path): self._change(Spot(path, after), met) for path in paths
        }

    def _change(self, first: Spot, met: set[Spot]) -> Callable[[Tensor], Tensor]:
        """Return what is done at the uses of a module, of which the first is given."""
        uses = count()

        def change(features: Any) -> Any:
            spot = replace(first, call=next(uses))
            if spot not in self.spots:
                return features
            met.add(spot)
            return self._pass(features, self.spots.index(spot))

        return change

    def _pass(self, features: Any, index: int) -> Tensor:
        spot = self.spots[index]
        tap = self.taps[index]
        if not spot.gates and (not isinstance(features, Tensor) or features.ndim < 3):
            kind = (
                tuple(features.shape)
                if isinstance(features, Tensor)
                else f"a {type(features).__name__}"
            )
            raise CaptureError(
                f"{spot.path} has {kind} where a feature map should be. Choose another place."
            )
        # Clone before and after: layers around the spot may write into their input.
        if self._last[index] and not spot.gates:
            return tap(features.movedim(-1, 1).clone()).movedim(1, -1).clone()
        return tap(features.clone()).clone()
