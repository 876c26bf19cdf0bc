"""Run one attribution method on one image; the only Captum import."""

import time
from collections.abc import Sequence
from typing import Any

import captum.attr
import torch
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.analysis import turn
from se_viz.attribution.catalogue import METHODS, Method, collapse
from se_viz.attribution.records import Attribution
from se_viz.errors import AttributionError
from se_viz.gates import GateSite, find_gates
from se_viz.networks import Network


def attribute(
    network: Network,
    inputs: Float[Tensor, "1 3 height width"],
    target: int,
    method: str = "integrated_gradients",
    *,
    stage: int | None = None,
    **options: Any,
) -> Attribution:
    """Explain one logit of a network for one image with a Captum method.

    ``inputs`` comes from ``network.preprocess``. ``stage`` is for methods on a stage's output (default: the
    last one). ``options`` override the catalogue's, and go to Captum. The model is left as it was, and no
    other pass of the app runs meanwhile.

    Raises:
        AttributionError: no such method, class or stage, or an option that Captum refuses.
    """
    row = _method(method, stage)
    _check_class(target, len(network.classes))
    # Inference mode of the caller would keep gradients off, whatever else is set.
    with turn, torch.inference_mode(False), torch.enable_grad():
        inputs = inputs.detach().clone().requires_grad_()
        chosen, layer = _layer(network.model, inputs.shape[-1], stage) if row.layered else (None, None)
        started = time.perf_counter()
        try:
            values, error = _run(row, network.model, inputs, target=target, layer=layer, options=options)
            seconds = time.perf_counter() - started
            explained = _rise(network.model, inputs, target, row, options) if row.complete else None
        except (TypeError, ValueError, AssertionError, RuntimeError) as refusal:
            raise AttributionError(f"{row.title} cannot run with these options: {refusal}. Change them.") from refusal
    heat = collapse(values, row.channels).detach().float().cpu()
    return Attribution(
        method=method,
        target=target,
        map=heat,
        signed=row.signed,
        seconds=seconds,
        completeness_error=error,
        explained=explained,
        stage=chosen,
    )


def stage_ends(sites: Sequence[GateSite]) -> dict[int, str]:
    """Return for each stage the path of the module whose output ends it.

    It is the shortest path that holds the stage's last block and no block of another stage: ``layer3`` for
    the fourth stage of a ResNet.
    """
    return {site.stage: _shortest_own_path(site, sites) for site in sites}


def _shortest_own_path(site: GateSite, sites: Sequence[GateSite]) -> str:
    parts = site.block.split(".")
    others = [other.block for other in sites if other.stage != site.stage]
    paths = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return next(path for path in paths if not any(f"{other}.".startswith(f"{path}.") for other in others))


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


def _layer(model: nn.Module, size: int, stage: int | None) -> tuple[int, nn.Module]:
    ends = stage_ends(find_gates(model, size=size))
    chosen = max(ends) if stage is None else stage
    if chosen not in ends:
        raise AttributionError(f"There is no stage {stage} with SE blocks. Choose one of: {', '.join(map(str, ends))}.")
    return chosen, model.get_submodule(ends[chosen])


def _run(
    row: Method, model: nn.Module, inputs: Tensor, *, target: int, layer: nn.Module | None, options: dict[str, Any]
) -> tuple[Tensor, float | None]:
    algorithm = getattr(captum.attr, row.algorithm)
    explainer = algorithm(model, layer) if layer is not None else algorithm(model)
    settings = {**row.options, **options}
    if row.complete:
        values, delta = explainer.attribute(inputs, target=target, return_convergence_delta=True, **settings)
        return values, abs(delta.item())
    values = explainer.attribute(inputs, target=target, **settings)
    if layer is not None:
        values = captum.attr.LayerAttribution.interpolate(values, tuple(inputs.shape[-2:]), "bilinear")
    return values, None


@torch.no_grad()
def _rise(model: nn.Module, inputs: Tensor, target: int, row: Method, options: dict[str, Any]) -> float:
    baseline = {**row.options, **options}["baselines"]
    before = model(torch.zeros_like(inputs) + (0.0 if baseline is None else baseline))[0, target]
    return (model(inputs)[0, target] - before).item()
