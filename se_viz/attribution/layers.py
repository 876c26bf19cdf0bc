"""Run one attribution method on one feature map of a network."""

import time
from dataclasses import dataclass
from typing import Any

import captum.attr
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from se_viz.attribution.baselines import make_baseline
from se_viz.attribution.layer_catalogue import LAYER_METHODS, LayerMethod
from se_viz.attribution.lifts import lift
from se_viz.attribution.limits import check_question, check_steps
from se_viz.attribution.places import Layer, find_spot, gates_behind, name_layer
from se_viz.attribution.slices import Report
from se_viz.attribution.targets import Target
from se_viz.errors import AttributionError, SeVizError
from se_viz.gates.taps import Tapped
from se_viz.line import Turn, Watch
from se_viz.networks import Network
from se_viz.runtime import line_of


@dataclass(frozen=True, slots=True)
class LayerAttribution:
    """What each cell of one feature map, channel by channel, has to do with an answer, by one method."""

    method: str
    """Key of the method in ``LAYER_METHODS``."""
    target: Target
    """What is explained."""
    baseline: str | None
    """Key of the baseline; None: the method has none, or was given another one."""
    layer: Layer
    """The feature map."""
    values: Float[Tensor, "channels height width"]
    """Captum's values on the layer's own grid, float32 on the CPU; in logits, or what the method gives instead."""
    map: Float[Tensor, "height width"]
    """The values of all channels as one map, on the same grid; see the method's ``collapse``."""
    signed: bool
    """Whether the map's negative values speak against the class; if not, all are at least 0."""
    seconds: float
    """Run time of the method, without what others ran in between."""


def attribute_layer(
    network: Network,
    inputs: Float[Tensor, "1 3 height width"],
    target: Target,
    method: str = "grad_cam",
    *,
    layer: Layer,
    baseline: str = "mean",
    watch: Watch = lambda _: None,
    report: Report = lambda done, total: None,
    **options: Any,
) -> LayerAttribution:
    """Explain an answer by one feature map of a network, for one image, with a Captum method.

    ``inputs`` comes from ``network.preprocess``, ``baseline`` is a key of ``BASELINES``. ``options`` override the
    catalogue's, and go to Captum. Captum's hooks hang on an object of this call, through which the feature map
    passes: the model is left as it was, others use it between two passes, and layers that write into their input
    do not spoil what is read. Where memory runs out, fewer images go into one pass.

    Raises:
        AttributionError: no such method, class, baseline, block or stage, a method that is not right there, an
            option that Captum refuses, or too little memory.
        BusyError: too many wait for the device.
    """
    row = _method(network, method, layer)
    check_question(network, inputs, target)
    spot = find_spot(network, layer)
    # Inference mode of the caller would keep gradients off, whatever else is set.
    with line_of(network.device).turn(watch, sliced=True) as turn, torch.inference_mode(False), torch.enable_grad():
        inputs = inputs.detach().clone()
        settings = {**row.options, **({"baselines": make_baseline(network, inputs, baseline)} if row.baseline else {})}
        check_steps(row.title, settings := settings | options)
        passes = _Passes(Tapped(network.model, spot, target.read), turn, report)
        started = time.perf_counter()
        values = _run_in_memory(row, passes, inputs, settings)
        heat = _collapse(row, values, passes, inputs)
        seconds = time.perf_counter() - started - passes.away
    return LayerAttribution(
        method=method,
        target=target,
        baseline=baseline if row.baseline and "baselines" not in options else None,
        layer=layer,
        values=values[0].detach().float().cpu(),
        map=heat.detach().float().cpu(),
        signed=row.signed,
        seconds=seconds,
    )


def explain_refusal(network: Network, method: str, layer: Layer) -> str:
    """Return the sentence why a method is not right for a feature map, or an empty one where it may be."""
    behind = gates_behind(network, layer)
    if method != "deep_lift" or not behind:
        return ""
    gates = "the gates of one SE block" if behind == 1 else f"the gates of {behind} SE blocks"
    return (
        f"DeepLift has no rule for a product such as s·U, and behind {name_layer(network, layer)} come {gates}: its "
        "shares would not add up. Choose X~ of the last block or the end of the last stage, or Integrated Gradients, "
        "which needs no rules."
    )


def enlarge(values: Float[Tensor, "height width"], size: tuple[int, int]) -> Float[Tensor, "rows columns"]:
    """Bring a map to another (height, width), bilinearly, as Captum does."""
    return F.interpolate(values[None, None], size, mode="bilinear")[0, 0]


class _Passes:
    """A network with a tap, called many times: between two calls, the turn on its device is given away."""

    def __init__(self, tapped: Tapped, turn: Turn, report: Report) -> None:
        self.tapped, self._turn, self._report = tapped, turn, report
        self._done = 0
        self.total = 1
        """About how many images will run."""
        self.away = 0.0
        """Seconds that others had the turn."""

    def __call__(self, images: Tensor) -> Tensor:
        if self._done:
            self._report(self._done, max(self._done, self.total))
            self._give_way(images.device)
        self._done += len(images)
        return self.tapped(images)

    def _give_way(self, device: torch.device) -> None:
        # A GPU works on after a call returns: the turn would be given away too early.
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        left = time.perf_counter()
        self._turn.give_way()
        self.away += time.perf_counter() - left


def _method(network: Network, key: str, layer: Layer) -> LayerMethod:
    if key not in LAYER_METHODS:
        raise AttributionError(f"No method {key!r} explains a layer. Choose one of: {', '.join(LAYER_METHODS)}.")
    find_spot(network, layer)
    if refusal := explain_refusal(network, key, layer):
        raise AttributionError(refusal)
    return LAYER_METHODS[key]


def _run_in_memory(row: LayerMethod, passes: _Passes, inputs: Tensor, settings: dict[str, Any]) -> Tensor:
    while True:
        try:
            return _run(row, passes, inputs, settings)
        except torch.OutOfMemoryError as error:
            images = (settings[row.piece] or settings["n_steps"]) if row.piece else 1
            if images == 1:
                raise AttributionError(
                    f"{inputs.device} has too little memory left for {row.title}, even with one image in a pass. "
                    "Lower SE_VIZ_NETWORKS, or choose a smaller network or the device cpu."
                ) from error
        except SeVizError:
            raise
        except (TypeError, ValueError, AssertionError, RuntimeError) as refusal:
            raise AttributionError(f"{row.title} cannot run with these options: {refusal}. Change them.") from refusal
        settings = {**settings, row.piece: images // 2}
        # Only here, after the error and its tensors are gone.
        torch.cuda.empty_cache()


def _run(row: LayerMethod, passes: _Passes, inputs: Tensor, settings: dict[str, Any]) -> Tensor:
    if row.key == "deep_lift":
        return lift(passes.tapped, inputs, settings)
    algorithm, channels = getattr(captum.attr, row.algorithm)(passes, passes.tapped.tap), 1
    if row.key == "feature_ablation":
        channels = _activation(passes, inputs).shape[1]
        settings = {"layer_mask": torch.arange(channels, device=inputs.device)[None, :, None, None], **settings}
    passes.total = row.cost(settings.get("n_steps", 1), channels)[0]
    return algorithm.attribute(inputs, **settings)


def _activation(passes: _Passes, inputs: Tensor) -> Tensor:
    keep: Any = captum.attr.LayerActivation(passes, passes.tapped.tap)
    return keep.attribute(inputs)


def _collapse(row: LayerMethod, values: Tensor, passes: _Passes, inputs: Tensor) -> Tensor:
    if row.collapse == "weigh":
        return (values * _activation(passes, inputs))[0].sum(0).clamp_min(0)
    if row.collapse == "mean":
        return values[0].mean(0)
    return values[0].sum(0).clamp_min(0) if row.collapse == "relu" else values[0].sum(0)
