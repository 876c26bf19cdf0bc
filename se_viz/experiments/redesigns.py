"""Blocks designed anew and not retrained: what one image comes to, and what the blocks cost."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from PIL import Image
from torch import Tensor

from se_viz.devices import Watch, line_of
from se_viz.errors import ExcitationError
from se_viz.experiments.analysis import Analysis, analyse
from se_viz.gates.designs import Design, Plan, check_design, plan_block
from se_viz.gates.remaking import PlaceGates, remake_gates
from se_viz.networks import Network
from se_viz.networks.answers import divergences_of
from se_viz.networks.cost import count_blocks


@dataclass(frozen=True, slots=True)
class BlockSize:
    """One block before and after a design."""

    block: str
    """Its path."""
    hidden: tuple[int | None, int | None]
    """Hidden units; None where there are no two layers, 0 where its gates are 1 by design."""
    parameters: tuple[int, int]
    """Trained values."""
    products: tuple[int | None, int | None]
    """Multiply-adds for one image, as `measure_cost` counts them; None where they are not known."""


@dataclass(frozen=True, slots=True)
class Redesigned:
    """What a design made of one image: the same weights, nothing trained."""

    analysis: Analysis
    """Answer and gates by the design; of a block with gates for each place their means over all
    places, and exactly the network's own where the design changes nothing."""
    divergence: float
    """KL(own || by the design) over all classes, in nats. Of a similarity or a value: how far all
    numbers moved, as a share of their size."""
    sizes: tuple[BlockSize, ...]
    """The blocks that the design names or whose gates it makes 1, in forward order."""
    refused: tuple[tuple[str, str], ...]
    """Path of each block that stays as it is although the design names it, and why, in a
    sentence."""


def redesign(
    network: Network,
    image: Image.Image | Tensor,
    design: Design,
    *,
    before: Analysis | None = None,
    whole: bool = False,
    watch: Watch = lambda _: None,
) -> Redesigned:
    """Run an image through a network whose blocks make their gates by a design.

    The network is left as it is: gates are made by its own weights, of what each block takes in
    during the pass, see `plan_block`. ``before`` is what `analyse` returned for the image. Blocks
    that cannot be opened stay as they are. ``whole`` and ``watch`` as of `analyse`. Source of the
    choices: Hu et al., arXiv 1709.01507, section 6, whose numbers are of trained networks.

    Raises:
        EditError: the design names a block, a stage or a choice that does not exist.
        BusyError: too many wait for the device.
        TooLittleMemoryError: the device has too little memory for it.
    """
    check_design(design, network.inspection.sites)
    before = before or analyse(network, image, whole=whole, watch=watch)
    sites = {site.block: site for site in reversed(network.inspection.sites)}
    bypassed = {
        block: 1 / site.gain
        for block, site in sites.items()
        if design.stage not in (None, site.stage)
    }
    with line_of(network.device).turn(watch):
        plans, refused = _plan(network, design, bypassed.keys(), before)
    makers = bypassed | {block: plan.maker for block, plan in plans.items() if plan.maker}
    after, places = before, {}
    if makers:
        with remake_gates(network.model, makers) as places:
            after = analyse(network, image, whole=whole, watch=watch)
        after = _with_means(after, places)
    card = network.card
    divergence = divergences_of(
        before.logits[None], after.logits[None], independent=card.independent, shares=card.shares
    )
    sizes = tuple(_size_blocks(network, plans, bypassed, places))
    return Redesigned(after, divergence.item(), sizes, tuple(refused.items()))


def _plan(
    network: Network, design: Design, bypassed: Collection[str], before: Analysis
) -> tuple[dict[str, Plan], dict[str, str]]:
    """Work the design out for each block that it names, or say why it cannot be."""
    plans: dict[str, Plan] = {}
    refused: dict[str, str] = {}
    for site in network.inspection.sites:
        if site.block not in design.blocks or site.call or site.block in bypassed:
            continue
        try:
            record = before.record(site.name)
            plans[site.block] = plan_block(network.model, record, site, design)
        except ExcitationError as error:
            refused[site.block] = str(error)
    return plans, refused


def _with_means(analysis: Analysis, places: Mapping[str, PlaceGates]) -> Analysis:
    """Return an analysis whose blocks with gates for each place have the means of these."""
    records = tuple(
        replace(record, gate=places[record.name].mean * record.gain)
        if record.name in places
        else record
        for record in analysis.records
    )
    return replace(analysis, records=records)


def _size_blocks(
    network: Network,
    plans: Mapping[str, Plan],
    bypassed: Collection[str],
    places: Mapping[str, PlaceGates],
) -> Iterator[BlockSize]:
    counts = count_blocks(network.model)
    for site in network.inspection.sites:
        block = site.block
        if site.call:
            continue
        if block in bypassed:
            products = 2 * site.channels * site.hidden if site.hidden else None
            hidden = (site.hidden, 0)
            yield BlockSize(block, hidden, (counts[block], 0), (products, 0))
        elif block in plans:
            plan = plans[block]
            now = plan.before
            then = plan.after(places[block].places if block in places else 1)
            # What a block has besides its two layers stays.
            count = counts[block] + then.parameters - now.parameters
            products = (now.products, then.products)
            yield BlockSize(block, (now.hidden, then.hidden), (counts[block], count), products)
