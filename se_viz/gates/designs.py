"""A block designed anew with the weights it has: another squeeze, gate function or ratio.

Why: docs/decisions/050-a-design-keeps-the-weights.md
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor, nn

from se_viz.errors import EditError, ExcitationError
from se_viz.gates.excitation import Excitation, open_formula
from se_viz.gates.formula import Formula, Function, Layer
from se_viz.gates.records import GateRecord, GateSite
from se_viz.gates.remaking import Maker

OWN = "own"
"""A choice that stays as each block has it."""
SQUEEZES = (OWN, "mean", "max", "none")
"""How a channel is summarised; ``none``: not at all, each place has gates of its own."""
RATIOS = (2, 4, 8, 16, 32)
"""The reduction ratios of the paper's section 6.1."""

_SIGMAS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "sigmoid": ("Sigmoid", torch.sigmoid),
    "tanh": ("Tanh", torch.tanh),
    "relu": ("ReLU", torch.relu),
}
_POOLED = {"mean": "mean", "max": "maximum"}
"""What the squeezes are called of a block that was inspected."""
EXCITATIONS = (OWN, *_SIGMAS)
"""The functions that make the gates."""


@dataclass(frozen=True, slots=True)
class Design:
    """How some blocks of a network are to make their gates, with the weights that they have.

    What is not named stays as each block has it.
    """

    blocks: tuple[str, ...]
    """Paths of the blocks."""
    squeeze: str = OWN
    """One of ``SQUEEZES``."""
    excitation: str = OWN
    """One of ``EXCITATIONS``."""
    ratio: int | None = None
    """The reduction ratio r, from 1 on; None: as each block has it."""
    stage: int | None = None
    """The only stage whose blocks keep gates, all others multiply by 1; None: all keep them."""

    @property
    def changes_excitation(self) -> bool:
        """Return whether it asks for anything inside a block."""
        return (self.squeeze, self.excitation, self.ratio) != (OWN, OWN, None)


@dataclass(frozen=True, slots=True)
class Size:
    """What one block has and does for one image, counted as `measure_cost` does."""

    hidden: int
    """Units between the two layers."""
    parameters: int
    """Values in both layers."""
    products: int
    """Multiply-adds of both layers."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A design of one block, worked out for one image."""

    maker: Maker | None
    """What makes its gates; None: they are the block's own."""
    formula: Formula
    """The block as it is."""
    hidden: int
    """Hidden units after the design."""
    units: Int[Tensor, "hidden"] | None = None
    """The hidden units that are kept where some go, in their order."""

    @property
    def before(self) -> Size:
        """Return the size of the block as it is."""
        return _size(self.formula, len(self.formula.first.weight), 1)

    def after(self, places: int = 1) -> Size:
        """Return its size by the design; ``places`` have gates of their own where nothing
        squeezes.
        """
        return _size(self.formula, self.hidden, places)


def check_design(design: Design, sites: Sequence[GateSite]) -> None:
    """Refuse a design that does not fit a network.

    Raises:
        EditError: it names a block, a stage or a choice that does not exist.
    """
    paths = dict.fromkeys(site.block for site in sites)
    stages = dict.fromkeys(site.stage for site in sites)
    for what, value, known in (
        ("squeeze", design.squeeze, SQUEEZES),
        ("excitation", design.excitation, EXCITATIONS),
        *(("SE block", block, paths) for block in design.blocks),
        *([] if design.stage is None else [("stage", design.stage, stages)]),
    ):
        if value not in known:
            names = ", ".join(map(str, known))
            raise EditError(f"There is no {what} {value!r}. Choose among: {names}.")
    if design.ratio is not None and design.ratio < 1:
        raise EditError(f"The reduction ratio {design.ratio} is below 1. The paper's is 16.")


def plan_block(model: nn.Module, record: GateRecord, site: GateSite, design: Design) -> Plan:
    """Work out what a design makes of one block.

    ``record`` comes from a pass of one image through the network as it is. A larger reduction
    ratio keeps the C / r hidden units, at least one, that add most to this image's
    pre-activations: unit j counts |h_j| sum_c |W2_cj|. A smaller one adds units that put out 0, as
    new units do whose W2 is zero: gates stay, and the block grows.

    Raises:
        ExcitationError: the block cannot be opened, or there is no way to give it a gate for each
            place.
    """
    formula, excitation = open_formula(model, record)
    if design.squeeze == "none" and not site.whole:
        raise ExcitationError(
            f"{site.block} makes and uses its gates in a longer forward, where they cannot differ "
            "from place to place. Choose the squeeze mean or max for it, or another block."
        )
    ratio = design.ratio
    hidden = excitation.hidden.numel() if ratio is None else max(1, site.channels // ratio)
    units = keep_units(excitation, hidden) if hidden < len(excitation.hidden) else None
    squeeze = OWN if _POOLED.get(design.squeeze) == site.pooled else design.squeeze
    name, function = _SIGMAS.get(design.excitation, ("", None))
    sigma = None if function is None or name == formula.sigma.name else Function(name, function)
    if (squeeze, sigma, units) == (OWN, None, None):
        return Plan(None, formula, hidden)
    smaller = formula if units is None else _shrink(formula, units)
    maker = Maker(squeeze, replace(smaller, sigma=sigma or formula.sigma))
    return Plan(maker, formula, hidden, units)


def keep_units(excitation: Excitation, count: int) -> Int[Tensor, "hidden"]:
    """Return the hidden units that add most to the pre-activations of one image, in their order.

    Of units that add the same the first ones stay.
    """
    weights = excitation.expand.abs().sum(0) * excitation.hidden.abs()
    return weights.argsort(descending=True, stable=True)[:count].sort().values


def _shrink(formula: Formula, units: Tensor) -> Formula:
    first, second = formula.first, formula.second
    return replace(
        formula,
        first=Layer(first.weight[units], first.bias[units], first.has_bias),
        second=replace(second, weight=second.weight[:, units]),
    )


def _size(formula: Formula, hidden: int, places: int) -> Size:
    channels = len(formula.second.weight)
    biases = hidden * formula.first.has_bias + channels * formula.second.has_bias
    products = 2 * channels * hidden
    return Size(hidden, products + biases, products * places)
