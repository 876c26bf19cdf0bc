"""What following a model's pass has found, kept for later passes of the same modules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from torch import nn

from se_viz.gates.following.marks import Mark


@dataclass(frozen=True, slots=True)
class Found:
    """One module whose code multiplies a map by a gate, by paths alone: nothing holds the model."""

    scope: str
    """Path of the innermost module around what pools, the excitation and the product."""
    inputs: tuple[Mark | None, ...]
    """What is known of the tensors that the scope is given."""
    count: int | None
    """Products in one use of the module; None where that differs."""
    last: bool
    """Whether channels are the last axis of the map."""
    parts: tuple[str, ...] = ()
    """Paths of the modules whose own code and weights took part in the gate."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one model has beside the blocks that the table of spellings reads right."""

    found: dict[str, Found] = field(default_factory=dict)
    """For the path of each block that is known by what it does, how to read it."""
    wrong: frozenset[str] = frozenset()
    """Paths of blocks that the table names, and that are to be read in the other way."""
    others: dict[str, str] = field(default_factory=dict)
    """Path of what multiplies by no gate of a block, and what it does, in a sentence."""


_findings: "WeakKeyDictionary[nn.Module, tuple[tuple[int, ...], Findings]]" = WeakKeyDictionary()


def keep_findings(model: nn.Module, findings: Findings) -> None:
    """Keep what was found, as long as the model lives and has these modules."""
    _findings[model] = (_number(list(model.modules())), findings)


def lend_findings(model: nn.Module, copy: nn.Module) -> None:
    """Keep for a copy of a model what was found in the model, if its modules have the same paths.

    A copy that is made for one call need not run once more to be looked at.
    """
    findings = recall_findings(model, list(model.modules()))
    paths = {path for path, _ in copy.named_modules()}
    if findings and paths.issuperset(
        path for block, found in findings.found.items() for path in (block, found.scope)
    ):
        keep_findings(copy, findings)


def recall_findings(model: nn.Module, modules: Sequence[nn.Module]) -> Findings | None:
    """Return what was found in a model that has these modules, or None where nobody looked."""
    kept = _findings.get(model)
    return kept[1] if kept and kept[0] == _number(modules) else None


def _number(modules: Sequence[nn.Module]) -> tuple[int, ...]:
    # The class too: a new module may have the number of one that is gone.
    return (*sorted(map(id, modules)), *sorted(id(type(module)) for module in modules))
