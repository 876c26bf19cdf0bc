"""A spot of a network, and the network with a part of one's own there, that others may hang hooks on."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from torch import Tensor, nn

from se_viz.errors import CaptureError
from se_viz.gates.hooks import Watch, watching
from se_viz.gates.places import scan_model


@dataclass(frozen=True, slots=True)
class Spot:
    """One feature map of a network: what a module takes in or puts out."""

    path: str
    """Dotted path of the module."""
    after: bool = True
    """Whether it is what the module puts out; of an SE block that is X~, else U."""
    call: int = 0
    """0 for the module's first use in a pass, 1 for its second, ..."""


class Tapped(nn.Module):
    """A model whose feature map at one spot passes through `tap`, which changes nothing and belongs to this object.

    Hooks on `tap` see and change that feature map as (batch, channels, height, width), whatever the block's own
    order of axes, in passes of this object alone: others may use the model meanwhile. What `tap` is given or
    puts out is overwritten by no later layer.
    """

    def __init__(self, model: nn.Module, spot: Spot, read: Callable[[Tensor], Tensor]) -> None:
        """Tap a model, whose answers go through ``read``.

        Raises:
            NoSEBlocksError: the model is compiled, so that hooks would be ignored.
            AttributeError: it has no module of that path.
        """
        super().__init__()
        self.model = model
        self.tap: nn.Module = nn.Identity()
        self.spot, self.read = spot, read
        place = scan_model(model).blocks.get(model.get_submodule(spot.path))
        self._last = place is not None and place.row.channels_last

    def forward(self, images: Tensor) -> Tensor:
        """Return what is read from the model's answer.

        Raises:
            CaptureError: no pass comes through the spot, or what is there is no feature map.
        """
        use, module = count(), self.model.get_submodule(self.spot.path)
        watch = Watch(self.model, {})
        change = {module: lambda features: self._pass(features) if next(use) == self.spot.call else features}
        watch.give, watch.take = (change, {}) if self.spot.after else ({}, change)
        with watching(watch):
            answer = self.read(self.model(images))
        if next(use) <= self.spot.call:
            raise CaptureError(f"{self.spot.path} is not used so often in a pass. Choose one of its uses.")
        return answer

    def _pass(self, features: Tensor) -> Tensor:
        if not isinstance(features, Tensor) or features.ndim != 4:
            found = tuple(features.shape) if isinstance(features, Tensor) else f"a {type(features).__name__}"
            raise CaptureError(f"{self.spot.path} has {found} where a feature map should be. Choose another place.")
        # Clone before and after: layers around the spot may write into their input.
        if self._last:
            return self.tap(features.movedim(-1, 1).clone()).movedim(1, -1).clone()
        return self.tap(features.clone()).clone()
