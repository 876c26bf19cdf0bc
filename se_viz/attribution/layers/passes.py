"""How a layer method runs: on what one pass has seen, or in passes of its own between which others
have the device.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from se_viz.attribution.catalogue import LayerMethod
from se_viz.attribution.layers.deep_lift import lift
from se_viz.attribution.passes import Replay, cap_piece, load_captum, view_spots
from se_viz.attribution.question import Target
from se_viz.devices import Report, Turn, fit_memory, give_way
from se_viz.gates.taps import Spot, Tapped
from se_viz.networks import Network

LayerResult: TypeAlias = tuple[Tensor, Tensor, float]
"""Values (1, channels, height, width), their map (height, width), and seconds."""


@dataclass(frozen=True, slots=True)
class LayerTask:
    """What a method is asked, wherever."""

    network: Network
    row: LayerMethod
    inputs: Tensor
    target: Target
    settings: dict[str, Any]


class TapRunner:
    """A network with a tap, called many times: between two calls, the turn on its device is given
    away.
    """

    def __init__(self, tapped: Tapped, turn: Turn, report: Report) -> None:
        self.tapped = tapped
        self._turn = turn
        self._report = report
        self._images = 0
        self.total = 1
        """About how many images will run."""
        self.away = 0.0
        """Seconds that others had the turn."""

    @property
    def tap(self) -> nn.Module:
        """Return where Captum's hooks hang."""
        return self.tapped.taps[0]

    def __call__(self, images: Tensor) -> Tensor:
        """Call the network; before every pass but the first, let others run."""
        if self._images:
            self._report(self._images, max(self._images, self.total))
            self.away += give_way(self._turn, images.device)
        self._images += len(images)
        return self.tapped(images)


def share(task: LayerTask, spots: Sequence[Spot]) -> list[LayerResult]:
    """Run a method that asks for one pass of the image, at all spots.

    Its time is shared out evenly.
    """
    started = time.perf_counter()
    replays = view_spots(task.network.model, task.target, task.inputs, spots)
    values = [_ask(task, replays[spot]) for spot in spots]
    maps = [_collapse(task.row, cells) for cells in values]
    seconds = (time.perf_counter() - started) / len(spots)
    return [(cells, heat, seconds) for cells, heat in zip(values, maps, strict=True)]


def run_alone(task: LayerTask, spot: Spot, turn: Turn, report: Report) -> LayerResult:
    """Run a method that makes passes of its own, at one spot; ``report`` is told of them."""
    passes = TapRunner(Tapped(task.network.model, [spot], task.target.read), turn, report)
    started = time.perf_counter()
    values = run_in_memory(task, passes)
    cells = values
    if task.row.collapse == "weigh":
        cells = values * _activation(passes, task.inputs)
    heat = _collapse(task.row, cells)
    return values, heat, time.perf_counter() - started - passes.away


def run_in_memory(task: LayerTask, passes: TapRunner) -> Tensor:
    """Return what a method makes of a network with a tap.

    Where memory runs out, with fewer images in a pass.

    Raises:
        torch.OutOfMemoryError: one image does not fit.
    """
    piece = task.row.piece
    if not piece:
        return _run(task, passes)
    # None: all of a call, as long as that fits.
    first = cap_piece(task.settings[piece], task.inputs.device)
    most = first or task.settings["n_steps"]

    def run(images: int) -> Tensor:
        settings = {**task.settings, piece: first if images == most else images}
        return _run(replace(task, settings=settings), passes)

    return fit_memory(run, most)


def _run(task: LayerTask, passes: TapRunner) -> Tensor:
    row = task.row
    channels = 1
    if "differences" in row.needs:
        return lift(passes.tapped, task.inputs, task.settings)
    if row.kind == "channel":
        # One group a channel: without a mask Captum would ablate each cell alone.
        features = _activation(passes, task.inputs)
        channels = features.shape[1]
        mask = torch.arange(channels, device=task.inputs.device)
        mask = mask.view(1, -1, *[1] * (features.ndim - 2))
        task = replace(task, settings={"layer_mask": mask, **task.settings})
    passes.total = row.cost(task.settings.get("n_steps", 1), channels)[0]
    return _ask(task, passes)


def _ask(task: LayerTask, runner: TapRunner | Replay) -> Tensor:
    algorithm = getattr(load_captum(), task.row.algorithm)(runner, runner.tap)
    return algorithm.attribute(task.inputs, **task.settings)


def _activation(passes: TapRunner, inputs: Tensor) -> Tensor:
    return load_captum().LayerActivation(passes, passes.tap).attribute(inputs)


def _collapse(row: LayerMethod, values: Tensor) -> Tensor:
    """Make one map of all channels; for ``weigh`` the values are weighed already."""
    if row.collapse == "mean":
        return values[0].mean(0)
    heat = values[0].sum(0)
    return heat.clamp_min(0) if row.collapse in ("relu", "weigh") else heat
