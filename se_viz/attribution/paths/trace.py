"""How a logit rises from a baseline to an image: what came through the gates, and what came past
them.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.attribution.passes import swift_copy
from se_viz.attribution.paths.flows import TOLERANCE, Flow, Trace
from se_viz.attribution.paths.steps import (
    Evaluate,
    Point,
    Slopes,
    Step,
    Way,
    halve_steps,
    refine,
    sum_up,
    walk,
    worst_error,
)
from se_viz.attribution.question import (
    Target,
    aim,
    check_question,
    check_steps,
    make_baseline,
    network_dtype,
)
from se_viz.devices import Turn, Watch, lay_out, run_halving, turn_with_gradients
from se_viz.errors import AttributionError, NoSEBlocksError
from se_viz.gates import GateSite
from se_viz.gates.cuts import cut_gates
from se_viz.networks import Network

NETWORK = "network"
"""Name of the set of all gates."""

MOST = 128
"""Steps at which it ends in any case."""

_FIRST = 7
_ROWS = 4
_ROWS_ON_GPU = 32
_LIVE = ""


def stage_key(stage: int) -> str:
    """Return the name of the set of a stage's gates."""
    return f"stage {stage}"


def gate_sets(sites: Sequence[GateSite]) -> dict[str, tuple[str, ...]]:
    """Return the sets that a trace splits at by default: the network's gates, and those of each
    stage.
    """
    sets = {NETWORK: tuple(site.name for site in sites)}
    for stage in sorted({site.stage for site in sites}):
        sets[stage_key(stage)] = tuple(site.name for site in sites if site.stage == stage)
    return sets


def trace_paths(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    target: Target | int,
    *,
    baseline: str | Float[Tensor, "1 channels *sides"] = "mean",
    sets: Mapping[str, Collection[str]] | None = None,
    n_steps: int | None = None,
    watch: Watch = lambda _: None,
    report: Callable[[int, int], None] = lambda *_: None,
) -> Trace:
    """Split the rise of a logit on the straight way from a baseline to an image: through gates,
    and past them.

    For each set of gates the network is seen as a function of the image and of these gates. Along
    the way dF/da = dF/dx dx/da + sum_b dF/ds_b ds_b/da: the integral of the first term, in which
    the gates of the set do not move, bypasses them; that of a second one came through the gates of
    block b, the others of the set held. Gates outside the set are live. Both parts are integrated
    by themselves; that they add up to the rise is a check.

    ``sets`` gives names of blocks' uses for a name; default: `gate_sets`. Steps are halved where
    the parts are furthest from the change of the logit, until the error is 1 % of what moves, or
    128 of them are made; the trace tells the error that is left (`Trace.miss`). ``n_steps`` asks
    for equal steps instead. The model is left as it was, and other passes on the device run in
    between. ``report`` is told how many steps are done, and of about how many. See
    docs/through-the-gates.md.

    Raises:
        AttributionError: no such class or baseline, no step at all, or an answer that is no number.
        TooLittleMemoryError: not even one image fits into a pass.
        NoSEBlocksError: a set names no use of an SE block.
        BusyError: too many wait for the device.
    """
    target = aim(target)
    check_question(network, inputs, target)
    # A set without gates holds none: what bypasses it is the whole rise, as one map.
    all_sets = {_LIVE: (), **(gate_sets(network.inspection.sites) if sets is None else sets)}
    _check(network, all_sets, n_steps)
    with turn_with_gradients(network.device, watch) as turn:
        # A copy: what the caller holds stays as it is.
        inputs = inputs.detach().to(network_dtype(network), copy=True)
        if isinstance(baseline, str):
            start = make_baseline(network, inputs, baseline)
        else:
            start = baseline.to(inputs)
        model = swift_copy(network.model, inputs)
        path = _Path(network, model, start, inputs - start, target, all_sets, turn)
        return _conclude(_walk(path.points, n_steps, report), target, path.seconds)


@dataclass(slots=True)
class _Path:
    """The straight way, and what is asked at its points."""

    network: Network
    model: nn.Module
    start: Tensor
    direction: Tensor
    target: Target
    sets: Mapping[str, Collection[str]]
    turn: Turn
    seconds: float = 0.0

    def points(self, places: Sequence[float]) -> list[Point]:
        """Return points, as many in a pass as memory holds; others run in between."""
        rows = _ROWS if self.start.device.type == "cpu" else _ROWS_ON_GPU
        points: list[Point] = []
        for first in range(0, len(places), rows):
            # Not before the first pass, for which the turn has just come.
            if self.seconds:
                self.turn.give_way()
            started = time.perf_counter()
            points += self._look(places[first : first + rows])
            self.seconds += time.perf_counter() - started
        return points

    def _look(self, places: Sequence[float]) -> list[Point]:
        subject = f"a pass back through {self.network.card.title}"
        return run_halving(self._differentiate, places, device=self.network.device, subject=subject)

    def _differentiate(self, part: Sequence[float]) -> list[Point]:
        """Run forward once, and back for each set as far as it differs."""
        places = torch.tensor(part, dtype=torch.float64)
        images = lay_out(
            self.start
            + places.to(self.start).view(-1, *[1] * (self.start.ndim - 1)) * self.direction
        ).requires_grad_()
        with cut_gates(self.model, self.network.inspection.sites) as cuts:
            values = self.target.read(self.model(images))
        ways = {
            name: ((slope * self.direction).sum(1).float().cpu(), _unload(slopes))
            for name, (slope, slopes) in cuts.slopes(values.sum(), images, self.sets).items()
        }
        return _points(places, values.detach(), _unload(cuts.gates), ways)


def _check(network: Network, sets: Mapping[str, Collection[str]], n_steps: int | None) -> None:
    names = [site.name for site in network.inspection.sites]
    unknown = sorted({block for blocks in sets.values() for block in blocks} - set(names))
    if unknown:
        raise NoSEBlocksError(
            f"There is no SE block {unknown[0]!r}. Choose among: {', '.join(names)}."
        )
    if n_steps is not None:
        check_steps("The way through the gates", {"n_steps": n_steps})


def _unload(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.double().cpu() for name, value in values.items()}


def _points(
    places: Tensor,
    values: Tensor,
    gates: Mapping[str, Tensor],
    ways: Mapping[str, tuple[Tensor, Mapping[str, Tensor]]],
) -> list[Point]:
    if not values.isfinite().all():
        raise AttributionError(
            "Between baseline and image the logit is NaN or infinite. Choose another baseline."
        )
    points = []
    for row, (place, value) in enumerate(zip(places.tolist(), values.tolist(), strict=True)):
        row_ways = {
            # Summed in double precision: thousands of pixels of both signs nearly cancel.
            name: Way(maps[row], maps[row].double().sum().item(), _row(slopes, row))
            for name, (maps, slopes) in ways.items()
        }
        points.append(Point(place=place, value=value, gates=_row(gates, row), ways=row_ways))
    return points


def _row(values: Mapping[str, Tensor], row: int) -> dict[str, Tensor]:
    return {name: value[row] for name, value in values.items()}


def _walk(
    evaluate: Evaluate, n_steps: int | None, report: Callable[[int, int], None]
) -> list[Step]:
    count = n_steps or _FIRST
    steps = walk(evaluate, [index / count for index in range(count + 1)])
    while n_steps is None and len(steps) < MOST:
        error = worst_error(steps)
        # Written so that an error that is no number ends it too.
        if not error > TOLERANCE:
            break
        # The rule is of the second order, if it were not for kinks.
        report(len(steps), min(MOST, ceil(len(steps) * sqrt(error / TOLERANCE))))
        steps = refine(evaluate, steps, _ROWS)
    return steps


def _conclude(steps: list[Step], target: Target, seconds: float) -> Trace:
    flows = {name: _flow(steps, name) for name in steps[0].left.ways}
    live = flows.pop(_LIVE)
    return Trace(
        target=target,
        before=steps[0].left.value,
        after=steps[-1].right.value,
        flows=flows,
        map=live.map,
        error=live.error,
        steps=len(steps),
        seconds=seconds,
    )


def _flow(steps: list[Step], name: str) -> Flow:
    bypass, carried, error = sum_up(steps, name)
    rough_bypass, rough_carried, _ = sum_up(halve_steps(steps), name)
    # By a rule of the second order half as many steps are off by four times as much.
    apart = max(abs(rough_bypass - bypass), abs(rough_carried - carried)) / 3
    return Flow(
        bypass=bypass,
        through=_add([step.through(name) for step in steps]),
        map=torch.stack([step.map(name) for step in steps]).sum(0),
        mean_slope=_add([_weigh_slopes(step, name) for step in steps]),
        error=error,
        doubt=max(abs(error), apart),
    )


def _weigh_slopes(step: Step, name: str) -> Slopes:
    return {block: step.width * slope for block, slope in step.slopes(name).items()}


def _add(parts: Sequence[Slopes]) -> dict[str, Tensor]:
    sums = {}
    for block in parts[0]:
        # Rounded once, after the sum in double precision.
        sums[block] = torch.stack([part[block] for part in parts]).sum(0).float()
    return sums
