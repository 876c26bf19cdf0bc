"""Run one attribution method on one image."""

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.catalogue import METHODS, TOGETHER, Method, find_method
from se_viz.attribution.passes import (
    MOST_ON_CPU,
    Replay,
    Slices,
    cap_piece,
    count_up,
    guide,
    lend_model,
    load_captum,
    refuse_plain,
    view_spots,
)
from se_viz.attribution.pixels.calls import Task, call, prepare
from se_viz.attribution.question import (
    Attribution,
    RefusedError,
    Target,
    TargetModel,
    aim,
    check_question,
    choose_end,
    collapse,
    enlarge_cells,
    in_words,
    network_dtype,
    run_with_options,
)
from se_viz.devices import Report, Watch, turn_with_gradients
from se_viz.errors import AttributionError
from se_viz.gates.taps import Spot
from se_viz.networks import Network

MOST_MISSED = 0.5
"""How much of what they should add up to the shares of a method with rules may miss, as a share of
it."""
_NO_NUMBERS = "Choose another method, or another baseline."
ROUNDING = 1e-5
"""How far a number of size 1 may seem to move by rounding alone: some gates and untrained answers
do not move."""


def attribute(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    target: int,
    method: str = "integrated_gradients",
    *,
    against: int | None = None,
    baseline: str = "mean",
    stage: int | None = None,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
    **options: Any,
) -> Attribution:
    """Explain one logit of a network for one image with a Captum method.

    ``inputs`` comes from ``network.preprocess``. With ``against`` the logit's lead over that class
    is explained. ``baseline`` is a key of ``BASELINES``. ``stage`` is for methods on a stage's
    output (default: the last one). ``options`` override the catalogue's, and go to Captum. The
    model is left as it was. Other passes on the device run in between; ``watch`` is called with how
    many are before this one, ``report`` with how many images have run and about how many will.
    Where memory runs out, fewer images go into one pass.

    Raises:
        AttributionError: no such method, class, baseline or stage, an option that Captum refuses, a
            network or an image that the method cannot explain.
        TooLittleMemoryError: not even one image fits into a pass.
        BusyError: too many wait for the device.
    """
    arguments = {
        "against": against,
        "baseline": baseline,
        "stage": stage,
        "watch": watch,
        "report": report,
        **options,
    }
    attribution = attribute_unproven(network, inputs, target, method, **arguments)
    # Here and not below, where `judge_method` measures how much the shares miss.
    if METHODS[method].copied:
        check_shares(
            METHODS[method],
            attribution.completeness_error,
            attribution.explained,
            unit=" logits",
            least=ROUNDING,
        )
    return attribution


def attribute_unproven(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    target: int,
    method: str,
    *,
    against: int | None = None,
    baseline: str = "mean",
    stage: int | None = None,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
    **options: Any,
) -> Attribution:
    """Do what `attribute` does, also where the shares of a method with rules miss most of what
    they should add up to.

    Raises:
        AttributionError: as there, but for such shares.
        BusyError: too many wait for the device.
    """
    row = _method(method, stage)
    goal = aim(target, against)
    check_question(network, inputs, goal)
    # Before the turn: its first import takes more than a second.
    load_captum()
    arguments = {"baseline": baseline, "stage": stage, "watch": watch, "report": report}
    return run_with_options(
        network, inputs, partial(_attribute, network, inputs, goal, row, **arguments), options
    )


def _attribute(
    network: Network,
    inputs: Tensor,
    goal: Target,
    row: Method,
    *,
    baseline: str,
    stage: int | None,
    watch: Watch,
    report: Report,
    **options: Any,
) -> Attribution:
    with turn_with_gradients(network.device, watch) as turn:
        # A copy: no gradient may come to the tensor of the caller.
        inputs = inputs.detach().to(network_dtype(network), copy=True).requires_grad_()
        settings = prepare(network, row, inputs, baseline=baseline, options=options)
        stage, end = choose_end(network, stage) if row.staged else (None, None)
        passes = row.passes({**settings, **options}, shape=tuple(inputs.shape[1:]))[0]
        with lend_model(network, row, inputs, passes=passes) as model:
            answer = TargetModel(model, goal, inputs.dtype)
            most = cap_piece(settings.get(row.piece, TOGETHER), network.device)
            slices = Slices(answer, network.device, turn, most=most)
            slices.note = count_up(report, passes)
            started = time.perf_counter()
            # Captum's hooks must not see others: a method that sets some has a copy of its own.
            guided = guide(row, answer, network.model) if row.guided else None
            task = Task(row, guided or (answer if row.copied else slices), inputs, 0)
            if end:
                task = replace(task, seen=_look_at(end, row, inputs, answer))
            explanation = explain(task, slices, settings, since=started)
        if guided and not guided.uses:
            refuse_plain(row.title, network.model, inputs)
    baseline_key = baseline if row.baseline and "baselines" not in options else None
    return _sum_up(
        row, goal, explanation, stage=stage, baseline=baseline_key, options=tuple(options.items())
    )


def check_shares(
    row: Method, error: float | None, explained: float | None, *, unit: str = "", least: float = 0.0
) -> None:
    """Refuse shares of a method with rules that miss most of what they should add up to, and more
    than ``least``.

    Raises:
        AttributionError: they do.
    """
    if error is None or explained is None:
        return
    if error > max(least, MOST_MISSED * abs(explained)):
        raise AttributionError(
            f"{row.title}'s shares miss {error:.2g} of the {abs(explained):.2g}{unit} that they "
            "should add up to on this image, too much for a map: this network runs functions that "
            "differences cannot be passed back through. Choose Integrated Gradients, which needs "
            "no rules."
        )


def _sum_up(row: Method, goal: Target, explanation: "Explanation", **fields: Any) -> Attribution:
    return Attribution(
        method=row.key,
        target=goal.index,
        map=explanation.map,
        signed=row.signed,
        seconds=explanation.seconds,
        completeness_error=explanation.error,
        explained=explanation.explained,
        against=goal.against,
        **fields,
    )


def _look_at(end: Spot, row: Method, inputs: Tensor, answer: TargetModel) -> Replay:
    with in_words(row.title, inputs.device):
        return view_spots(answer.model, answer.target, inputs, [end])[end]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a method leaves of one number, a logit or a gate."""

    map: Tensor
    seconds: float
    error: float | None
    explained: float | None


def explain(
    task: Task, slices: Slices, settings: dict[str, Any], *, since: float | None = None
) -> Explanation:
    """Run a method that has its turn, in inference mode off and gradients on.

    Its time counts from ``since``, or now.

    Raises:
        AttributionError: the method refuses its settings, or its values are no numbers.
        TooLittleMemoryError: not even one image fits into a pass.
    """
    started = time.perf_counter() if since is None else since
    values, error, explained = _run(task, settings)
    check_numbers(task.row, values)
    heat = collapse(values, task.row.channels).detach().float().cpu()
    return Explanation(heat, time.perf_counter() - started - slices.away, error, explained)


def check_numbers(row: Method, values: Tensor) -> None:
    """Refuse values that are no numbers.

    Raises:
        AttributionError: some are.
    """
    if not values.isfinite().all():
        half = values.dtype == torch.float16
        step = "Bring the network to float32 with network.model.float()." if half else _NO_NUMBERS
        raise RefusedError(row.title, "its values for this image are NaN or infinite", step)


def _run(task: Task, settings: dict[str, Any]) -> tuple[Tensor, float | None, float | None]:
    with in_words(task.row.title, task.inputs.device):
        values = call(task, settings)
        explained = _rise(task, settings.get("baselines", 0.0)) if task.row.complete else None
    if task.row.layered:
        # On the grid of a stage: the cells sum to no logit's rise.
        return enlarge_cells(values, tuple(task.inputs.shape[2:])), None, None
    if explained is None:
        return values, None, None
    error = abs(_total(values, settings.get("feature_mask")) - explained)
    return values, error, explained


@torch.no_grad()
def _rise(task: Task, baselines: float | Tensor | None) -> float:
    start = torch.zeros_like(task.inputs) + (0.0 if baselines is None else baselines)
    before, after = (_mean_output(task, inputs) for inputs in (start, task.inputs))
    return (after - before).item()


def _mean_output(task: Task, inputs: Tensor) -> Tensor:
    values = [task.forward(part) for part in inputs.split(MOST_ON_CPU)]
    return torch.cat(values)[:, task.target].mean()


def _total(values: Tensor, patches: Tensor | None) -> float:
    if patches is None:
        return values.sum().item()
    # Every pixel of a patch has the value of the whole.
    areas = patches.flatten().bincount()[patches]
    return (values[:, :1] / areas).sum().item()


def _method(key: str, stage: int | None) -> Method:
    row = find_method(key)
    if stage is not None and not row.staged:
        staged = ", ".join(row.key for row in METHODS.values() if row.staged)
        raise AttributionError(
            f"{row.title} explains the input. Leave stage {stage} out, or use {staged}."
        )
    return row
