"""The sanity check of maps: are they told from maps of networks whose weights were shuffled, and
do gates change?
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from se_viz.attribution.passes import copy_modules, run_apart, say_shared
from se_viz.attribution.pixels import attribute_again, nth_of
from se_viz.attribution.question import Attribution, network_dtype
from se_viz.attribution.scores.weight_order import HEAD, order_weights, split_stages
from se_viz.devices import Report, Watch, line_of, memory_in_words
from se_viz.errors import AttributionError
from se_viz.experiments import rank_correlation
from se_viz.gates import capture_gates
from se_viz.gates.hooks import is_watching
from se_viz.networks import Network

NOTHING = "nothing"
"""The part of the first step: a copy of the network as it is."""


SIZES = "ranks of sizes"
"""The measure that the verdict goes by: the rank correlation of sizes."""

PAIRS = "two shuffled networks"
"""The same measure between networks that have learned nothing."""

NETWORKS = 19
"""Networks with every weight shuffled that a map is compared with."""

CHANCE = 0.05
"""Highest chance at which a network that has learned nothing is said to have learned."""

ALIKE = 0.7
"""Rank correlation of sizes from which on a map counts as the same."""

PARTLY = 0.5
"""Rank correlation of sizes from which on much of a map is left."""


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


@dataclass(frozen=True, slots=True)
class Peers:
    """A map among those of several networks with every weight shuffled, by the rank correlation of
    sizes.
    """

    own: tuple[float, ...]
    """Of the network's map and each of theirs."""
    pairs: tuple[float, ...]
    """Of theirs, two by two: what networks differ by that have learned nothing."""
    flat: int
    """How many more networks gave one value everywhere, which is like nothing and unlike
    nothing."""

    @property
    def chance(self) -> float:
        """Return how often a network that has learned nothing is apart at most: of all maps, one
        can be.
        """
        return 1 / (1 + len(self.own))

    @property
    def apart(self) -> bool:
        """Tell whether the map is less like each of theirs than any two of them are, by a digit
        that shows.
        """
        if self.chance > CHANCE:
            return False
        return max(self.own) < min(self.pairs) and mean(self.pairs) - mean(self.own) >= _DIGIT


@dataclass(frozen=True, slots=True, eq=False)
class SanityStep:
    """A map and the gates after one more part of the network was randomised."""

    part: int | str
    """What was randomised last: a stage, `HEAD`, or first of all `NOTHING`."""
    map: Float[Tensor, "*sides"]
    """The method's map on that network; float32 on the CPU."""
    likeness: MapLikeness
    """Of this map to the first one."""
    gates: dict[int, GateLikeness]
    """Of each stage's gates to those of the first step."""
    peers: Peers | None = None
    """At the last step, where every weight is shuffled: the first map among those of `NETWORKS`
    such networks."""


_Gates: TypeAlias = dict[int, np.ndarray]

_DIGIT = 0.01
# So many draws have seeds of their own.
_SEEDS = 1000


def check_sanity(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    attribution: Attribution,
    *,
    seed: int = 0,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> tuple[SanityStep, ...]:
    """Randomise a copy of a network from its classifier back to the image, and run a method after
    each part.

    This is the cascading test of Adebayo et al., arXiv 1810.03292, section 3.1, with all weights of
    a stage at once. A loaded network does not tell what its weights were drawn from: so each weight
    tensor is shuffled with ``seed``, which keeps its values and destroys what they had learned;
    running means and variances likewise. A step is one draw. The last one is drawn `NETWORKS`
    times, so that the map can be compared with what networks differ by that have learned nothing. A
    map of one value everywhere ends the check at its first step. The network itself is not touched.
    ``report`` is told of the method's passes.

    Raises:
        AttributionError: gates are edited, which a copy would not know; or what `attribute` raises.
        TooLittleMemoryError: the device has no room for a copy.
        BusyError: too many wait for the device.
    """
    twin = _copy(network, inputs, watch)
    with line_of(network.device).turn(watch):
        parts = split_stages(order_weights(twin.model, inputs), twin.inspection.sites)
    runs = len(parts) + NETWORKS

    def explain(number: int, weights: Sequence[str]) -> Tensor:
        shuffle_weights(twin.model, weights, seed=_SEEDS * seed + number)
        return attribute_again(
            twin, inputs, attribution, watch=watch, report=nth_of(runs, number, report)
        )

    steps: list[SanityStep] = []
    first: _Gates = {}
    for number, (part, weights) in enumerate([(NOTHING, []), *parts.items()]):
        values = explain(number, weights)
        gates = _gates(twin, inputs, watch)
        first = first or gates
        likeness = compare_maps(values, attribution.map)
        changes = {stage: compare_gates(gates[stage], first[stage]) for stage in gates}
        steps.append(SanityStep(part, values, likeness, changes))
        # The first step is enough: nothing is like a map without an order, whatever the weights.
        if is_flat(attribution.map):
            return tuple(steps)
    # The last step has one network with every weight shuffled: here come the rest of them.
    weights = [name for names in parts.values() for name in names]
    maps = [explain(number, weights) for number in range(len(steps), runs)]
    steps[-1] = replace(steps[-1], peers=compare_networks(attribution.map, [steps[-1].map, *maps]))
    return tuple(steps)


def name_part(part: int | str) -> str:
    """Return what to call a part of a network."""
    return f"stage {part}" if isinstance(part, int) else {HEAD: "classifier"}.get(part, part)


def tabulate_steps(steps: Sequence[SanityStep]) -> pd.DataFrame:
    """Return one row a step and measure: ``part``, ``panel`` (``map`` or ``gates``), ``measure``,
    ``value``.

    A value is NaN where the map is constant. Values have ranks of their own only where some are
    negative. ``low`` and ``high`` are the least and greatest of several networks, else NaN: at the
    last step, whose value is then their mean, and in rows of `PAIRS`, which hold at every step what
    two networks with every weight shuffled have in common.
    """
    signed = any(bool((step.map < 0).any()) for step in steps)
    rows = []
    for step in steps:
        part = name_part(step.part)
        for measure, value in _read(step.likeness, signed).items():
            rows.append((part, "map", measure, *_spread(step, measure, value)))
        for measure, value in _ranks(step.gates).items():
            rows.append((part, "gates", measure, *_spread(step, measure, value)))
    peers = steps[-1].peers
    if peers and peers.pairs:
        between = (mean(peers.pairs), min(peers.pairs), max(peers.pairs))
        rows += [(name_part(step.part), "map", PAIRS, *between) for step in steps]
    columns = ["part", "panel", "measure", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[3:], float))


def _spread(
    step: SanityStep, measure: str, value: float | None
) -> tuple[float | None, float | None, float | None]:
    if measure != SIZES or step.peers is None or not step.peers.own:
        return value, None, None
    return mean(step.peers.own), min(step.peers.own), max(step.peers.own)


def describe_steps(title: str, steps: Sequence[SanityStep]) -> list[str]:
    """Say whether a map is told from maps of networks that have learned nothing, and what became
    of the gates.
    """
    if steps[0].likeness.absolute is None:
        return [_describe_flat(title, steps[0].map)]
    gates = steps[-1].gates
    stages = ", ".join(map(str, gates))
    away = ", ".join(f"{likeness.distance:.2f}" for likeness in gates.values())
    return [
        _describe_map(title, steps[-1].peers),
        "The gates of a stage do not change until the stage itself is randomised, because a gate "
        f"does not depend on later layers. In the end the gates of stages {stages} have moved by "
        f"{away} on average, in one draw of the shuffle.",
    ]


def _describe_flat(title: str, values: Tensor) -> str:
    if not values.isfinite().all():
        kind = "holds values that are NaN or infinite"
    elif values.any():
        kind = f"has one value everywhere, {values.flatten()[0].item():.2g}"
    else:
        kind = "is a map of zeros"
    return (
        f"**{title} {kind}**: nothing in it could change with the weights, so the check says "
        "nothing. Choose another method, stage or class."
    )


def _describe_map(title: str, peers: Peers | None) -> str:
    if peers is None or peers.chance > CHANCE:
        flat = peers.flat if peers else 0
        return (
            f"Whether {title} depends on the learned weights **cannot be told**: with every weight "
            f"shuffled its map has one value everywhere in {flat} of {NETWORKS} networks, and too "
            "few are left to compare with. Choose another method, stage or class."
        )
    own = mean(peers.own)
    count = len(peers.own)
    numbers = (
        f"the sizes of its values have a rank correlation of {own:.2f} ({min(peers.own):.2f} to "
        f"{max(peers.own):.2f}) with the maps of {count} networks whose weights are all shuffled; "
        f"two of these networks have {mean(peers.pairs):.2f} ({min(peers.pairs):.2f} to "
        f"{max(peers.pairs):.2f})"
    )
    if peers.apart:
        part = " in part" if own >= PARTLY else ""
        return (
            f"**{title} depends{part} on the learned weights**: {numbers}. The network's own map "
            "is less like each of their maps than any two of these are alike, which by chance "
            f"happens in 1 of {count + 1} cases at most."
        )
    if own >= ALIKE:
        return (
            f"**{title} hardly changes with the weights**: {numbers}. It reflects the image more "
            "than the network."
        )
    return (
        f"Whether {title} depends on the learned weights **cannot be told**: {numbers}. The first "
        "range is not clearly below the second: a network that has learned nothing gives such "
        "numbers."
    )


def _read(likeness: MapLikeness, signed: bool) -> dict[str, float | None]:
    ranks = {"ranks of values": likeness.signed} if signed else {}
    return {**ranks, SIZES: likeness.absolute, "structure (SSIM)": likeness.structure}


def _ranks(gates: Mapping[int, GateLikeness]) -> dict[str, float | None]:
    return {f"stage {stage}": likeness.ranks for stage, likeness in gates.items()}


@torch.no_grad()
def shuffle_weights(model: nn.Module, names: Sequence[str], *, seed: int) -> None:
    """Shuffle the values of each of a model's parameters and buffers in place, each within
    itself.
    """
    weights = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    # Drawn on the CPU, so that a seed gives the same network on every device.
    generator = torch.Generator().manual_seed(seed)
    for name in names:
        values = weights[name]
        order = torch.randperm(values.numel(), generator=generator).to(values.device)
        values.copy_(values.flatten()[order].view_as(values))


def is_flat(values: Float[Tensor, "*sides"]) -> bool:
    """Tell whether a map has no order: one value everywhere, or values that are NaN or infinite."""
    return not bool(values.isfinite().all()) or bool(values.min() == values.max())


def compare_networks(values: Float[Tensor, "*sides"], peers: Sequence[Tensor]) -> Peers:
    """Compare a map with those of networks that have learned nothing, and these with each other.

    Were the network one of them, its map could be any of them. At most one of all is less like each
    other than any two others are like each other, so that the chance of being that one is one in
    all, or less.
    """
    maps = [values, *(peer for peer in peers if not is_flat(peer))]
    sizes = pd.DataFrame({place: heat.abs().flatten().numpy() for place, heat in enumerate(maps)})
    table = sizes.corr(method="spearman").fillna(0.0).to_numpy(copy=True)
    # Sizes may be all alike where values are not.
    np.fill_diagonal(table, 1.0)
    pairs = table[1:, 1:][np.triu_indices(len(maps) - 1, 1)]
    return Peers(tuple(table[0, 1:].tolist()), tuple(pairs.tolist()), len(peers) + 1 - len(maps))


def compare_maps(values: Float[Tensor, "*sides"], original: Float[Tensor, "*sides"]) -> MapLikeness:
    """Compare two maps by the order of their values, by that of their sizes, and by structure."""
    first = values.numpy()
    second = original.numpy()
    if is_flat(values) or is_flat(original):
        return MapLikeness(None, None, None)
    sizes = [abs(first) / abs(first).max(), abs(second) / abs(second).max()]
    structure = np.asarray(structural_similarity(*sizes, data_range=1.0)).item()
    return MapLikeness(_correlate(first, second), _correlate(*sizes), structure)


def compare_gates(gates: np.ndarray, original: np.ndarray) -> GateLikeness:
    """Compare the gates of a stage, all of its blocks' in one row, with what they were."""
    return GateLikeness(_correlate(gates, original), float(abs(gates - original).mean()))


def _correlate(first: np.ndarray, second: np.ndarray) -> float | None:
    return rank_correlation(first.ravel(), second.ravel())


def _copy(network: Network, inputs: Tensor, watch: Watch) -> Network:
    if is_watching():
        raise AttributionError(
            "The check runs on a copy of the network, which the edits of its gates do not reach. "
            "Undo the edits first."
        )
    # In its turn: nothing of others hangs on the model then.
    with (
        line_of(network.device).turn(watch),
        torch.inference_mode(False),
        memory_in_words(network.device, f"a second {network.card.title}"),
    ):
        twin = copy_modules(network.model, lend=False)
        with torch.no_grad():
            _, modules = run_apart(twin, network.model, inputs.to(network_dtype(network)))
        if modules:
            raise AttributionError(
                f"The check runs on a copy of the network. {say_shared(network.model, modules)} "
                "Give the network a class whose forward calls its own children."
            )
        return Network(twin, network.card, network.device)


def _gates(twin: Network, inputs: Tensor, watch: Watch) -> _Gates:
    capture = capture_gates(twin.model, blocks={site.block for site in twin.inspection.sites})
    with line_of(twin.device).turn(watch), torch.inference_mode(), capture as records:
        twin.model(inputs)
    gates = {}
    for stage in sorted({record.stage for record in records}):
        rows = [record.gate[0] for record in records if record.stage == stage]
        gates[stage] = torch.cat(rows).numpy()
    return gates
