"""Where the SE blocks of one model are: every module is looked up in the table of spellings."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from torch import nn

from se_viz.errors import CaptureError, NoSEBlocksError
from se_viz.gates import spellings
from se_viz.gates.spellings import OTHERS, Spelling, path_of

_Meaning: TypeAlias = tuple[Spelling | None, str | None]
"""The row of a class and what it is instead, if either is known."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One SE block, and the two modules in it that are read."""

    path: str
    """Dotted path of the block inside the model."""
    block: nn.Module
    """The block itself."""
    row: Spelling
    """The spelling that the block's class has."""
    squeeze: nn.Module
    """The module whose input is the squeeze."""
    gate: nn.Module
    """The module whose output is the gate."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What the modules of a model are, by their classes alone; nothing has run yet."""

    blocks: dict[nn.Module, Place] = field(default_factory=dict)
    """Every SE block, in the order of the model's modules."""
    misfits: dict[str, str] = field(default_factory=dict)
    """Path of a block that lacks what its row names, and what that is."""
    others: dict[str, str] = field(default_factory=dict)
    """Path of an attention that is no SE gate, and what it does."""


def scan_model(model: nn.Module) -> Scan:
    """Look up every module of a model.

    Raises:
        NoSEBlocksError: the model is compiled, so that hooks would be ignored.
    """
    scan, (rows, known) = Scan(), _tables(tuple(spellings.SPELLINGS))
    for path, module in _walk(model):
        kind = type(module)
        if kind not in known:
            known[kind] = _meaning(kind, rows)
        if meaning := known[kind]:
            _file(scan, path, module, meaning=meaning)
    # The name that `torch.compile` gives what it wraps: the model itself, or a part of it.
    if any("_orig_mod" in place.path.split(".") for place in scan.blocks.values()):
        raise NoSEBlocksError(
            "A compiled model ignores hooks that come after its first call. Capture from the model you compiled."
        )
    return scan


def choose_blocks(
    model: nn.Module, names: Collection[str] | None = None, *, also: Iterable[str] = ()
) -> dict[nn.Module, Place]:
    """Return the blocks that ``names`` lists, or all of them; ``also`` is checked to be among them.

    Raises:
        NoSEBlocksError: the model is compiled, has no SE block, or none of a name.
        CaptureError: all are asked for, and one lacks what its row names.
    """
    scan = scan_model(model)
    if names is None and scan.misfits:
        path, sentence = next(iter(scan.misfits.items()))
        raise CaptureError(f"{path}: {sentence} Correct the row in `se_viz.gates.SPELLINGS`.")
    if not scan.blocks:
        raise NoSEBlocksError(_nothing(model, scan))
    paths = {place.path: block for block, place in scan.blocks.items()}
    asked = paths.keys() if names is None else set([names] if isinstance(names, str) else names)
    if unknown := sorted((asked - paths.keys()) | (set(also) - asked)):
        known = ", ".join(path for path in paths if names is None or path in asked)
        raise NoSEBlocksError(f"There is no SE block {unknown[0]!r}. Choose among: {known or ', '.join(paths)}.")
    return {block: scan.blocks[block] for path, block in paths.items() if path in asked}


def _walk(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    # `named_modules` gives the same in five times as long, and a capture scans the model each time.
    seen: set[nn.Module] = set()
    waiting = [("", model)]
    while waiting:
        path, module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        yield path, module
        prefix = f"{path}." if path else ""
        children = reversed(module._modules.items())
        waiting.extend((prefix + name, child) for name, child in children if child is not None)


@lru_cache(maxsize=2)
def _tables(rows: tuple[Spelling, ...]) -> tuple[dict[object, Spelling], dict[type, _Meaning | None]]:
    # A changed table is another key, so that nothing learned from the old one stays.
    return {row.kind: row for row in rows}, {}


def _meaning(kind: type, rows: dict[object, Spelling]) -> _Meaning | None:
    for base in kind.__mro__:
        path = path_of(base)
        row = rows.get(base) or rows.get(path) or rows.get(f"*.{base.__name__}")
        if row or path in OTHERS:
            return row, OTHERS.get(path)
    return None


def _file(scan: Scan, path: str, module: nn.Module, *, meaning: _Meaning) -> None:
    row, other = meaning
    if row and (place := _place(path, module, row)):
        scan.blocks[module] = place
    elif other:
        scan.others[path] = other
    elif row and not row.guessed:
        missing = row.squeeze if _child(module, row.squeeze) is None else row.gate
        scan.misfits[path] = f"{row.form} has no child {missing!r} here, which its row names."


def _place(path: str, block: nn.Module, row: Spelling) -> Place | None:
    squeeze, gate = _child(block, row.squeeze), _child(block, row.gate)
    # A name alone may be another thing: the gate has to come from a function, not from a layer.
    if squeeze is None or gate is None or (row.guessed and [*gate.parameters()]):
        return None
    return Place(path, block, row, squeeze, gate)


def _child(block: nn.Module, path: str) -> nn.Module | None:
    try:
        return block.get_submodule(path)
    except AttributeError:
        return None


def _nothing(model: nn.Module, scan: Scan) -> str:
    found = f"{type(model).__name__} has no squeeze-and-excitation block that se_viz knows"
    if scan.others:
        path, sentence = next(iter(scan.others.items()))
        return f"{found}. What it has is no SE gate: {path} ({sentence}) Choose a network with SE blocks."
    known = ", ".join(row.form for row in spellings.SPELLINGS)
    return f"{found} (it looks for {known}). If yours is written another way, add one row to `se_viz.gates.SPELLINGS`."
