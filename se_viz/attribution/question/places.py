"""Where in a network a feature map is explained: before or after a block's gates, or at the end of
a stage.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from se_viz.errors import AttributionError
from se_viz.gates import GateSite
from se_viz.gates.taps import Spot
from se_viz.networks import Network

WHERE = {
    "before": "U, before the gates",
    "after": "X~, after the gates",
    "end": "the end of the stage",
}
"""Feature maps that can be explained, and how to say it."""

_NO_STAGE = (
    "Each SE block of this network is used in several stages, so that no module ends one. Choose a "
    "method that explains the input, such as saliency."
)
_NO_BLOCK = (
    "Stages are told by SE blocks, and this network has none. Choose a method that explains the "
    "input, such as saliency."
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One feature map, in the words of SE networks."""

    where: str
    """One of ``WHERE``."""
    of: str | int
    """Name of one use of a block, as in `GateSite.name`; for the end of a stage, its number."""


def find_spot(network: Network, layer: Layer) -> Spot:
    """Return where in the model's modules a feature map is.

    Raises:
        AttributionError: there is no such block or stage, it is not drawn, or no module ends it.
    """
    if layer.where not in WHERE:
        raise AttributionError(
            f"There is no feature map {layer.where!r}. Choose one of: {', '.join(WHERE)}."
        )
    if layer.where == "end":
        return _end(network, layer.of)
    site = next((site for site in network.inspection.sites if site.name == layer.of), None)
    if site is None:
        raise AttributionError(_no_block(network, layer.of))
    if not site.whole:
        raise AttributionError(
            f"The excitation of {site.name or 'this network'} is a part of its forward, so that no "
            "module takes in U and puts out X~. Choose the end of a stage, or attribute to a gate."
        )
    return Spot(site.block, layer.where == "after", site.call)


def stage_ends(sites: Sequence[GateSite]) -> dict[int, str]:
    """Return for each stage the path of the module whose output ends it.

    It is the shortest path that holds the stage's last block and no block of another stage:
    ``layer3`` for the fourth stage of a ResNet. A stage is left out whose last block is used in
    another one too.
    """
    # Sites are in forward order: the last one of a stage stays.
    last = {site.stage: site for site in sites}
    paths = {stage: _shortest_own_path(site, sites) for stage, site in last.items()}
    return {stage: path for stage, path in paths.items() if path}


def end_spots(network: Network) -> dict[int, Spot]:
    """Return for each stage of `stage_ends` the feature map that ends it."""
    sites = network.inspection.sites
    last = {site.stage: site for site in sites}
    paths = {
        stage: _first_that_runs(network.model, path, last[stage].block)
        for stage, path in stage_ends(sites).items()
    }
    # Of a block that ends its stage itself, the last use.
    calls = {(stage, site.block): site.call for stage, site in last.items()}
    return {stage: Spot(path, call=calls.get((stage, path), 0)) for stage, path in paths.items()}


def say_no_stage(sites: Sequence[GateSite]) -> str:
    """Say why no method can look at a stage, where `stage_ends` has none."""
    return _NO_STAGE if sites else _NO_BLOCK


def choose_end(network: Network, stage: int | None) -> tuple[int, Spot]:
    """Return a stage, by default the last one, and the feature map that ends it.

    Raises:
        AttributionError: there is no such stage, or none that a module ends.
    """
    ends = end_spots(network)
    if not ends:
        raise AttributionError(say_no_stage(network.inspection.sites))
    if stage is None:
        stage = max(ends)
    if stage not in ends:
        raise AttributionError(
            f"There is no stage {stage} with SE blocks. Choose one of: {', '.join(map(str, ends))}."
        )
    return stage, ends[stage]


def _shortest_own_path(site: GateSite, sites: Sequence[GateSite]) -> str | None:
    parts = site.block.split(".")
    strange = [row.block for row in sites if row.stage != site.stage]
    for length in range(1, len(parts) + 1):
        path = ".".join(parts[:length])
        # With the dot: layer1 does not hold layer10.
        if not any(f"{block}.".startswith(f"{path}.") for block in strange):
            return path
    return None


def _first_that_runs(model: nn.Module, path: str, block: str) -> str:
    """Return the outermost module from ``path`` down to a block that has code of its own: lists of
    modules, and what only holds others, are never called.
    """
    parts = block.split(".")
    paths = (".".join(parts[:length]) for length in range(path.count(".") + 1, len(parts)))
    for holder in paths:
        if type(model.get_submodule(holder)).forward is not nn.Module.forward:
            return holder
    return block


def _end(network: Network, stage: str | int) -> Spot:
    sites = network.inspection.sites
    members = [site for site in sites if site.stage == stage]
    # Whether what is around a block with channels last has its order of axes too is not known.
    ends = {} if any(site.call or site.last for site in members) else stage_ends(sites)
    if stage in ends:
        return Spot(_first_that_runs(network.model, ends[int(stage)], members[-1].block))
    if members:
        raise AttributionError(
            f"No module ends stage {stage} alone: a block of it is used more than once in a pass, "
            "or has its channels last. Choose a block of it instead."
        )
    stages = sorted({site.stage for site in sites})
    raise AttributionError(
        f"There is no stage {stage} with SE blocks. Choose one of: {', '.join(map(str, stages))}."
    )


def _no_block(network: Network, name: str | int) -> str:
    inspection = network.inspection
    reason = {**inspection.refused, **inspection.others}.get(str(name), "")
    names = ", ".join(_names(inspection.sites))
    return (
        f"There is no SE block {name!r} that can be explained. "
        f"{reason}{' ' if reason else ''}Choose among: {names}."
    )


def _names(sites: tuple[GateSite, ...]) -> list[str]:
    return [site.name for site in sites]
