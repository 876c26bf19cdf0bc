"""The sanity check of maps: do they change when what the network has learned is destroyed, and do its gates?"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from se_viz.attribution.again import attribute_again, nth_of
from se_viz.attribution.order import HEAD, order_weights, split_stages
from se_viz.attribution.records import Attribution
from se_viz.effects import rank_correlation
from se_viz.errors import AttributionError, DeviceError
from se_viz.gates import capture_gates
from se_viz.gates.hooks import is_watching
from se_viz.line import Watch
from se_viz.networks import Network
from se_viz.runtime import line_of
from se_viz.variants import Report

NOTHING = "nothing"
"""The part of the first step: a copy of the network as it is."""


ALIKE, UNALIKE = 0.5, 0.3
"""Rank correlation of sizes from which on a map counts as the same, and up to which as another one."""


@dataclass(frozen=True, slots=True)
class MapLikeness:
    """How alike two maps are; None where one of them is constant, which has no order."""

    signed: float | None
    """Spearman's rank correlation of the values, -1 to 1."""
    absolute: float | None
    """Spearman's rank correlation of their sizes, -1 to 1."""
    structure: float | None
    """Structural similarity of the sizes, each map's scaled to 0 to 1; -1 to 1."""


@dataclass(frozen=True, slots=True)
class GateLikeness:
    """How alike all gates of one stage are to what they were."""

    ranks: float | None
    """Spearman's rank correlation, -1 to 1; None where one side is constant."""
    distance: float
    """Mean absolute difference, in units of the gate."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A map and the gates after one more part of the network was randomised."""

    part: int | str
    """What was randomised last: a stage, `HEAD`, or first of all `NOTHING`."""
    map: Float[Tensor, "height width"]
    """The method's map on that network; float32 on the CPU."""
    likeness: MapLikeness
    """Of this map to the first one."""
    gates: dict[int, GateLikeness]
    """Of each stage's gates to those of the first step."""


_Gates: TypeAlias = dict[int, np.ndarray]


def check_sanity(
    network: Network,
    inputs: Float[Tensor, "1 3 height width"],
    found: Attribution,
    *,
    seed: int = 0,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> tuple[Step, ...]:
    """Randomise a copy of a network from its classifier back to the image, and run a method after each part.

    This is the cascading test of Adebayo et al., arXiv 1810.03292, section 3.1, with all weights of a stage at
    once. A loaded network does not tell what its weights were drawn from: so each weight tensor is shuffled with
    ``seed``, which keeps its values and destroys what they had learned; running means and variances likewise. The
    network itself is not touched. ``report`` is told of the method's passes.

    Raises:
        AttributionError: gates are edited, which a copy would not know; or what `attribute` raises.
        DeviceError: it has no room for a copy.
        BusyError: too many wait for the device.
    """
    twin = _copy(network, watch)
    with line_of(network.device).turn(watch):
        parts = split_stages(order_weights(twin.model, inputs), twin.inspection.sites)
    steps: list[Step] = []
    first: _Gates = {}
    for number, (part, weights) in enumerate([(NOTHING, []), *parts.items()]):
        shuffle_weights(twin.model, weights, seed=seed + number)
        gates = _gates(twin, inputs, watch)
        told = nth_of(len(parts) + 1, number, report)
        values = attribute_again(twin, inputs, found, watch=watch, report=told)
        first = first or gates
        likeness = compare_maps(values, found.map)
        steps.append(
            Step(part, values, likeness, {stage: compare_gates(gates[stage], first[stage]) for stage in gates})
        )
    return tuple(steps)


def name_part(part: int | str) -> str:
    """Return what to call a part of a network."""
    return f"stage {part}" if isinstance(part, int) else {HEAD: "classifier"}.get(part, part)


def tabulate_steps(steps: Sequence[Step]) -> pd.DataFrame:
    """Return one row a step and measure: ``part``, ``panel`` (``map`` or ``gates``), ``measure``, ``value``.

    A value is NaN where the map is constant. Values have ranks of their own only where some are negative.
    """
    signed = any(bool((step.map < 0).any()) for step in steps)
    rows = [
        (name_part(step.part), panel, measure, value)
        for step in steps
        for panel, values in (("map", _read(step.likeness, signed)), ("gates", _ranks(step.gates)))
        for measure, value in values.items()
    ]
    return pd.DataFrame(rows, columns=["part", "panel", "measure", "value"]).astype({"value": float})


def describe_steps(title: str, steps: Sequence[Step]) -> list[str]:
    """Say whether a map depends on what the network has learned, by its last step, and what became of the gates."""
    gates = steps[-1].gates
    stages, away = ", ".join(map(str, gates)), ", ".join(f"{likeness.distance:.2f}" for likeness in gates.values())
    return [
        _describe_map(title, steps),
        "The gates of a stage stay as they are until it is randomised itself, for a gate does not see what comes after "
        f"it. In the end those of stages {stages} have moved by {away} on average.",
    ]


def _describe_map(title: str, steps: Sequence[Step]) -> str:
    last = steps[-1].likeness.absolute
    if last is None:
        gone = next(step for step in steps if step.likeness.absolute is None)
        return (
            f"**{title} depends on what the network has learned**: from the {name_part(gone.part)} on it has one value "
            "everywhere."
        )
    number = f"with every weight shuffled the sizes of its values keep a rank correlation of {last:.2f}"
    if last >= ALIKE:
        return f"**{title} hardly depends on what the network has learned**: {number}. It shows the photo's own edges."
    if last > UNALIKE:
        return f"**{title} depends in part on what the network has learned**: {number}."
    return f"**{title} depends on what the network has learned**: {number}."


def _read(likeness: MapLikeness, signed: bool) -> dict[str, float | None]:
    ranks = {"ranks of values": likeness.signed} if signed else {}
    return {**ranks, "ranks of sizes": likeness.absolute, "structure (SSIM)": likeness.structure}


def _ranks(gates: Mapping[int, GateLikeness]) -> dict[str, float | None]:
    return {f"stage {stage}": likeness.ranks for stage, likeness in gates.items()}


@torch.no_grad()
def shuffle_weights(model: nn.Module, names: Sequence[str], *, seed: int) -> None:
    """Shuffle the values of each of a model's parameters and buffers in place, each within itself."""
    weights = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    generator = torch.Generator().manual_seed(seed)
    for name in names:
        values = weights[name]
        order = torch.randperm(values.numel(), generator=generator).to(values.device)
        values.copy_(values.flatten()[order].view_as(values))


def compare_maps(values: Float[Tensor, "height width"], original: Float[Tensor, "height width"]) -> MapLikeness:
    """Compare two maps by the order of their values, by that of their sizes, and by structure."""
    one, other = values.numpy(), original.numpy()
    if one.min() == one.max() or other.min() == other.max():
        return MapLikeness(None, None, None)
    sizes = [abs(one) / abs(one).max(), abs(other) / abs(other).max()]
    structure = np.asarray(structural_similarity(*sizes, data_range=1.0)).item()
    return MapLikeness(_correlate(one, other), _correlate(*sizes), structure)


def compare_gates(gates: np.ndarray, original: np.ndarray) -> GateLikeness:
    """Compare the gates of a stage, all of its blocks' in one row, with what they were."""
    return GateLikeness(_correlate(gates, original), float(abs(gates - original).mean()))


def _correlate(first: np.ndarray, second: np.ndarray) -> float | None:
    return rank_correlation(first.ravel(), second.ravel())


def _copy(network: Network, watch: Watch) -> Network:
    if is_watching():
        raise AttributionError(
            "The check runs on a copy of the network, which the edits of its gates do not reach. Undo the edits first."
        )
    # In its turn: nothing of others hangs on the model then.
    with line_of(network.device).turn(watch), torch.inference_mode(False):
        try:
            return Network(copy.deepcopy(network.model), network.card, network.device)
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"{network.device} has no room for a second {network.card.title}. Choose a smaller network, or the "
                "device cpu."
            ) from error


def _gates(twin: Network, inputs: Tensor, watch: Watch) -> _Gates:
    capture = capture_gates(twin.model, blocks={site.block for site in twin.inspection.sites})
    with line_of(twin.device).turn(watch), torch.inference_mode(), capture as records:
        twin.model(inputs)
    stages = sorted({record.stage for record in records})
    return {
        stage: torch.cat([record.gate[0] for record in records if record.stage == stage]).numpy() for stage in stages
    }
