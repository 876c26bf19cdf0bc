"""Constants beside SE blocks: norm-free networks multiply a block's output once more, so that 0.5
is neutral there.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from torch import Tensor, nn

from se_viz.gates.records import GateRecord, GateSite, Inspection
from se_viz.gates.spellings import path_of

GAINS: dict[str, str] = {"timm.models.nfnet.NormFreeBlock": "attn_gain"}
"""Path of a class that multiplies what its SE block puts out, and the attribute that holds the
constant."""


def find_gains(model: nn.Module, blocks: Iterable[str]) -> dict[str, float]:
    """Return the constant that multiplies the output of each block, for those where it is not 1.

    ``blocks`` are paths of SE blocks. Source: Brock et al., High-Performance Large-Scale Image
    Recognition Without Normalization, arXiv 2102.06171, appendix C: squeeze-and-excite layers are
    multiplied by 2, since a sigmoid halves a signal on average.
    """
    gains = {}
    for block in blocks:
        parent = model.get_submodule(block.rpartition(".")[0])
        # A subclass of a listed class multiplies likewise.
        names = (GAINS.get(path_of(kind)) for kind in type(parent).__mro__)
        name = next((name for name in names if name), "")
        gain = float(getattr(parent, name, 1.0)) if name else 1.0
        if gain != 1:
            gains[block] = gain
    return gains


def include_gains(inspection: Inspection, gains: dict[str, float]) -> Inspection:
    """Return an inspection whose sites have the range of gate x gain, the multiplier of a
    channel.
    """
    sites = tuple(_include(site, gains.get(site.block, 1.0)) for site in inspection.sites)
    return replace(inspection, sites=sites)


def multiply_record(record: GateRecord, gain: float) -> GateRecord:
    """Return a record whose gates are gate x gain; exact for a power of two."""
    return record if gain == 1 else replace(record, gate=record.gate * gain, gain=gain)


def plain_record(record: GateRecord) -> GateRecord:
    """Return the record as captured, with what the gate function made."""
    return record if record.gain == 1 else replace(record, gate=record.gate / record.gain, gain=1.0)


def plain_edit(gain: float, edit: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Turn an edit of gate x gain into one of the gate, for `edit_gates`."""
    return edit if gain == 1 else partial(_edit, gain, edit)


def _edit(gain: float, edit: Callable[[Tensor], Tensor], gates: Tensor) -> Tensor:
    return edit(gates * gain) / gain


def _include(site: GateSite, gain: float) -> GateSite:
    return (
        site if gain == 1 else replace(site, low=site.low * gain, high=site.high * gain, gain=gain)
    )
