"""How SE blocks are written: one row for each class of block. To support another one, add a row."""

from dataclasses import dataclass

from torch import nn
from torchvision.ops import SqueezeExcitation


@dataclass(frozen=True, slots=True)
class Spelling:
    """Where one class of SE block has its squeeze and its gate."""

    kind: type[nn.Module]
    """The block's class itself: names are not unique across libraries."""
    squeeze: str
    """Path of the child whose input is the squeeze: the excitation's first layer."""
    gate: str
    """Path of the child whose output is the gate: the excitation's last function."""


SPELLINGS: list[Spelling] = [
    Spelling(SqueezeExcitation, squeeze="fc1", gate="scale_activation"),
]
"""Every spelling that se_viz knows; the first row whose class fits a module is used."""


def spelling_of(module: nn.Module) -> Spelling | None:
    """Return the row for a module, or None if it is no known SE block."""
    return next((row for row in SPELLINGS if isinstance(module, row.kind)), None)
