"""The values that finding, inspecting and capturing leave behind."""

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class GateSite:
    """One use of an SE block in a forward pass, as found on a first one."""

    block: str
    """Dotted path inside the model, e.g. ``layer3.2.bn3.1``."""
    stage: int
    """log2 of the stride of the block's input: 2 for a quarter of the image's side, 5 for a
    thirty-second."""
    channels: int
    """Number of gates for one image, the paper's C."""
    function: str
    """Name of the module that makes the gate, e.g. ``Sigmoid``."""
    form: str = ""
    """How the block is written: library and class, e.g. ``torchvision SqueezeExcitation``."""
    hidden: int | None = None
    """Units between the excitation's two layers, the paper's C / r; None where there are no two
    such layers."""
    low: float = 0.0
    """Lower end of the gate function's range; minus infinity where it is not known."""
    high: float = 1.0
    """Upper end of the gate function's range; infinity where it is not known."""
    closed: bool = False
    """Whether a gate can be exactly ``low`` or ``high``, as a hard sigmoid's can."""
    averaged: bool = True
    """Whether the squeeze is the spatial mean, as in the paper; else it is some other summary of
    each channel."""
    call: int = 0
    """0 for a block's first use in a pass, 1 for its second, ...: blocks may share their
    weights."""
    pooled: str = "mean"
    """How the squeeze was pooled: ``mean``, ``maximum``, ``mean and standard deviation``, ...;
    empty where that is not known."""
    whole: bool = True
    """Whether the block takes in the map that it multiplies and puts out the product: not where
    the excitation is part of a longer ``forward``."""
    last: bool = False
    """Whether channels are the last axis of the map."""
    gain: float = 1.0
    """Constant beside the block that ``low`` and ``high`` include: 2 for the sites of a `Network`
    without norms, whose records and edits are of gate x gain; 1 as `find_gates` returns it."""
    # Not compared: a use is the same one before an image of another size.
    sides: tuple[int, ...] = field(default=(), compare=False)
    """Sides of the map that it multiplied in the pass that found it: height and width."""

    @property
    def name(self) -> str:
        """Return the block's path, and from its second use on the number of the use: ``se#2``."""
        return use_name(self.block, self.call)

    @property
    def ratio(self) -> float | None:
        """Return the reduction ratio r, or None where there is none."""
        return self.channels / self.hidden if self.hidden else None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one checked forward pass told of a model's channel attention."""

    sites: tuple[GateSite, ...]
    """Every use of an SE block, in forward order; gate times input was its output, bit for bit."""
    refused: dict[str, str]
    """Path of an SE block that is not to be drawn, and why, in a sentence."""
    others: dict[str, str]
    """Path of an attention that is no SE gate, and what it does instead, in a sentence."""
    returned: tuple[int, ...] | str = ""
    """What the model returned for one image: the shape of a tensor, of anything else the name of
    its type."""


@dataclass(frozen=True, slots=True)
class GateRecord:
    """One SE block seen on one batch. The block multiplied its input by `gate`."""

    block: str
    """Dotted path inside the model, e.g. ``layer3.2.bn3.1``."""
    stage: int
    """log2 of the stride of the block's input: 2 for a quarter of the image's side, 5 for a
    thirty-second; below 0 where it is larger than the image."""
    squeeze: Float[Tensor, "batch channels"]
    """Spatial mean of each channel, in the units of the feature map; float32 on the CPU."""
    gate: Float[Tensor, "batch channels"]
    """Multiplier given to each channel; float32 on the CPU."""
    features: Float[Tensor, "batch channels *space"] | None = None
    """The block's input U where it was asked for, else None; ``gate * features`` is the block's
    output."""
    call: int = 0
    """0 for the block's first use in this pass, 1 for its second, ...: blocks may share their
    weights."""
    gain: float = 1.0
    """Constant beside the block that ``gate`` includes: 1 as `capture_gates` records it."""
    axes: int = 2
    """Axes in space of the block's input: 2 for images, 1 for sound, 3 for volumes."""

    @property
    def name(self) -> str:
        """Return the block's path, and from its second use on the number of the use: ``se#2``."""
        return use_name(self.block, self.call)


class GateRecords(list[GateRecord]):
    """Records in forward order: a list, which a notebook shows as one row a block."""

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        # Late: tables are made of records.
        from se_viz.gates.tables import summarise_blocks

        if not self:
            return "No records yet: run the model inside the <code>with</code> block."
        return summarise_blocks(self).to_html(index=False, float_format="%.3f")


def name_argument(function: str) -> str:
    """Return the word for what a gate function is given: ``pre-sigmoid value``, or of another
    function ``pre-activation``.
    """
    return "pre-sigmoid value" if function == "Sigmoid" else "pre-activation"


def use_name(block: str, call: int) -> str:
    """Return what tells one use of a block in a pass from another."""
    return f"{block}#{call + 1}" if call else block
