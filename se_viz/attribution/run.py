"""Run one attribution method on one image; the only Captum import."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import captum.attr
import torch
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.attribution.catalogue import METHODS, Method, collapse
from se_viz.attribution.records import Attribution
from se_viz.attribution.slices import Slices
from se_viz.errors import AttributionError, SeVizError
from se_viz.gates import GateSite
from se_viz.line import Watch
from se_viz.networks import Network
from se_viz.runtime import line_of


@dataclass(frozen=True, slots=True)
class Task:
    """What one method is asked."""

    row: Method
    forward: Callable[[Tensor], Tensor]
    layer: nn.Module | None
    inputs: Tensor
    target: int


def attribute(
    network: Network,
    inputs: Float[Tensor, "1 3 height width"],
    target: int,
    method: str = "integrated_gradients",
    *,
    stage: int | None = None,
    watch: Watch = lambda _: None,
    **options: Any,
) -> Attribution:
    """Explain one logit of a network for one image with a Captum method.

    ``inputs`` comes from ``network.preprocess``. ``stage`` is for methods on a stage's output (default: the
    last one). ``options`` override the catalogue's, and go to Captum. The model is left as it was. Other
    passes on the device run in between; ``watch`` is called with how many are before this one. Where memory
    runs out, fewer images go into one pass.

    Raises:
        AttributionError: no such method, class or stage, an option that Captum refuses, or too little memory.
        BusyError: too many wait for the device.
    """
    row = _method(method, stage)
    _check_class(target, len(network.classes))
    # Inference mode of the caller would keep gradients off, whatever else is set.
    with line_of(network.device).turn(watch, sliced=True) as turn, torch.inference_mode(False), torch.enable_grad():
        inputs = inputs.detach().clone().requires_grad_()
        chosen, layer = _layer(network, stage) if row.layered else (None, None)
        slices = Slices(network.model, network.device, turn)
        # Captum's hooks on a layer must not see others: such a method keeps its turn.
        task = Task(row, network.model if layer is not None else slices, layer, inputs, target)
        found = explain(task, slices, {**row.options, **options})
    return Attribution(
        method=method,
        target=target,
        map=found.map,
        signed=row.signed,
        seconds=found.seconds,
        completeness_error=found.error,
        explained=found.explained,
        stage=chosen,
    )


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a method leaves of one number, a logit or a gate."""

    map: Tensor
    seconds: float
    error: float | None
    explained: float | None


def explain(task: Task, slices: Slices, settings: dict[str, Any]) -> Explanation:
    """Run a method that has its turn, in inference mode off and gradients on.

    Raises:
        AttributionError: the method refuses its settings, or not even one image fits into memory.
    """
    started = time.perf_counter()
    values, error, explained = _run_in_memory(task, settings)
    heat = collapse(values, task.row.channels).detach().float().cpu()
    return Explanation(heat, time.perf_counter() - started - slices.away, error, explained)


def stage_ends(sites: Sequence[GateSite]) -> dict[int, str]:
    """Return for each stage the path of the module whose output ends it.

    It is the shortest path that holds the stage's last block and no block of another stage: ``layer3`` for
    the fourth stage of a ResNet. A stage is left out whose last block is used in another one too.
    """
    last = {site.stage: site for site in sites}
    paths = {stage: _shortest_own_path(site, sites) for stage, site in last.items()}
    return {stage: path for stage, path in paths.items() if path}


def _shortest_own_path(site: GateSite, sites: Sequence[GateSite]) -> str | None:
    parts = site.block.split(".")
    others = [other.block for other in sites if other.stage != site.stage]
    paths = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return next((path for path in paths if not any(f"{other}.".startswith(f"{path}.") for other in others)), None)


def _method(key: str, stage: int | None) -> Method:
    if key not in METHODS:
        raise AttributionError(f"There is no method {key!r}. Choose one of: {', '.join(METHODS)}.")
    if stage is not None and not METHODS[key].layered:
        layered = ", ".join(row.key for row in METHODS.values() if row.layered)
        raise AttributionError(f"{METHODS[key].title} explains the input. Leave stage {stage} out, or use {layered}.")
    return METHODS[key]


def _check_class(target: int, count: int) -> None:
    if not 0 <= target < count:
        raise AttributionError(f"There is no class {target}: this network has 0 to {count - 1}. Choose one of these.")


def _layer(network: Network, stage: int | None) -> tuple[int, nn.Module]:
    ends = stage_ends(network.inspection.sites)
    if not ends:
        raise AttributionError(
            "Each SE block of this network is used in several stages, so that no module ends one. Choose a method that "
            "explains the input, such as saliency."
        )
    chosen = max(ends) if stage is None else stage
    if chosen not in ends:
        raise AttributionError(f"There is no stage {stage} with SE blocks. Choose one of: {', '.join(map(str, ends))}.")
    return chosen, network.model.get_submodule(ends[chosen])


def _run_in_memory(task: Task, settings: dict[str, Any]) -> tuple[Tensor, float | None, float | None]:
    row = task.row
    while True:
        try:
            return _run(task, settings)
        except torch.OutOfMemoryError as error:
            images = (settings[row.piece] or settings["n_steps"]) if row.piece else 1
            if images == 1:
                raise AttributionError(
                    f"{task.inputs.device} has too little memory left for {row.title}, even with one image in a pass. "
                    "Lower SE_VIZ_NETWORKS, or choose a smaller network or the device cpu."
                ) from error
        except SeVizError:
            raise
        except (TypeError, ValueError, AssertionError, RuntimeError) as refusal:
            raise AttributionError(f"{row.title} cannot run with these options: {refusal}. Change them.") from refusal
        settings = {**settings, row.piece: images // 2}
        # Only here, after the error and its tensors are gone.
        torch.cuda.empty_cache()


def _run(task: Task, settings: dict[str, Any]) -> tuple[Tensor, float | None, float | None]:
    algorithm = getattr(captum.attr, task.row.algorithm)
    if task.layer is not None:
        coarse = algorithm(task.forward, task.layer).attribute(task.inputs, target=task.target, **settings)
        size = (task.inputs.shape[-2], task.inputs.shape[-1])
        return captum.attr.LayerAttribution.interpolate(coarse, size, "bilinear"), None, None
    ask = algorithm(task.forward).attribute
    if not task.row.complete:
        return ask(task.inputs, target=task.target, **settings), None, None
    values, delta = ask(task.inputs, target=task.target, return_convergence_delta=True, **settings)
    return values, abs(delta.item()), _rise(task, settings["baselines"])


@torch.no_grad()
def _rise(task: Task, baseline: float | Tensor | None) -> float:
    start = torch.zeros_like(task.inputs) + (0.0 if baseline is None else baseline)
    before, after = (task.forward(inputs)[0, task.target] for inputs in (start, task.inputs))
    return (after - before).item()
