"""Where the SE blocks of one model are: every module is looked up in the table of spellings."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from torch import nn

from se_viz.errors import NoSEBlocksError
from se_viz.gates import spellings
from se_viz.gates.compiled import is_compiled_in_place, say_compiled
from se_viz.gates.following import Findings, Mark, recall_findings
from se_viz.gates.spellings import OTHERS, Spelling, is_named_like_se, path_of


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the class of a module tells."""

    row: Spelling | None
    """Its spelling."""
    attention: str | None
    """What it is instead."""
    compiled: str
    """Why hooks are never called inside, and what to do, as the end of a sentence."""
    in_class: bool
    """Whether its ``forward`` is compiled where the class is written."""
    suspect: bool
    """Whether it is named like an SE block."""
    plain: bool
    """Whether there is nothing to note of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """How a block is read that is known by what it does: its products are followed."""

    scope: nn.Module
    """The innermost module around all of it: what pools, the excitation and the product."""
    inputs: tuple[Mark | None, ...] = ()
    """What is known of the tensors that ``scope`` is given."""
    count: int | None = None
    """Products in one use of the block; None where that differs."""
    parts: tuple[nn.Module, ...] = ()
    """The modules whose own weights took part in the gate."""


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
    compiled: tuple[nn.Module, ...] = ()
    """Modules that hold the block or are part of it, and are compiled in place."""
    flow: Flow | None = None
    """How to read it where no two modules tell; ``squeeze`` and ``gate`` are the block then."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What the modules of a model are, by their classes alone; nothing has run yet."""

    blocks: dict[nn.Module, Place] = field(default_factory=dict)
    """Every SE block, in the order of the model's modules."""
    misfits: dict[str, str] = field(default_factory=dict)
    """Path of a block that lacks what its row names, and what that is."""
    attentions: dict[str, str] = field(default_factory=dict)
    """Path of an attention that is no SE gate, and what it does."""
    compiled: dict[str, str] = field(default_factory=dict)
    """Path of an SE block that runs as compiled code, and where that is."""
    unknown: dict[str, str] = field(default_factory=dict)
    """Path of a module that is named like an SE block and has no row that fits, and that in a
    sentence."""
    followed: bool = False
    """Whether a pass of the model has been followed, so that what it does is known too."""


def scan_model(model: nn.Module, *, by_class: bool = False) -> Scan:
    """Look up every module of a model, and recall what following a pass has found there.

    ``by_class`` asks for what the classes tell alone.

    Raises:
        NoSEBlocksError: every SE block is compiled, so that hooks would be ignored.
    """
    modules = dict(_walk(model))
    findings = None if by_class else recall_findings(model, [*modules.values()])
    scan = Scan(followed=findings is not None)
    rows, kinds = _tables(tuple(spellings.SPELLINGS))
    compiled: list[tuple[str, nn.Module]] = []
    suspects: list[tuple[str, nn.Module]] = []
    for path, module in modules.items():
        kind = _kind_of(type(module), rows, kinds)
        may_be_compiled = (
            kind.compiled
            or kind.in_class
            or module._compiled_call_impl is not None
            or "forward" in module.__dict__
        )
        if may_be_compiled:
            # Which blocks that concerns is known when all of them are.
            compiled.append((path, module))
        if kind.plain:
            continue
        if not _file(scan, path, module, kind=kind) and path and kind.suspect:
            suspects.append((path, module))
    if findings:
        _file_findings(scan, findings, modules)
    for path, module in compiled:
        _note_compiled(scan, path, module, kinds[type(module)].compiled)
    if suspects:
        _name_unknown(scan, suspects)
    if scan.compiled and not scan.blocks:
        raise NoSEBlocksError(next(iter(scan.compiled.values())))
    return scan


def make_flow_place(path: str, block: nn.Module, flow: Flow, *, last: bool) -> Place:
    """Return a block that is known by what it does; ``last`` says whether channels come last."""
    kind = path_of(type(block))
    known = {row.form.split(" ")[0] for row in spellings.SPELLINGS if not row.guessed}
    library = kind.split(".")[0]
    name = kind if library in known else f"*.{type(block).__name__}"
    row = Spelling(name, squeeze="", gate="", channels_last=last)
    return Place(path, block, row, block, block, flow=flow)


def _file_findings(scan: Scan, findings: Findings, modules: dict[str, nn.Module]) -> None:
    """Note the blocks that following has found, in the order of the modules."""
    by_class = {place.path: place for place in scan.blocks.values()}
    scan.blocks.clear()
    for path, module in modules.items():
        found = findings.found.get(path)
        if found:
            parts = tuple(modules[part] for part in found.parts)
            flow = Flow(modules[found.scope], found.inputs, found.count, parts)
            scan.blocks[module] = make_flow_place(path, module, flow, last=found.last)
        elif path in by_class and path not in findings.wrong:
            scan.blocks[module] = by_class[path]
    scan.attentions.update(findings.others)


def _note_compiled(scan: Scan, path: str, module: nn.Module, words: str) -> None:
    """Note which blocks a compiled module concerns, as it holds them or is a part of them."""
    if not words and not is_compiled_in_place(module):
        return
    for block, place in [*scan.blocks.items()]:
        if _are_nested(path, place.path):
            if words:
                # Hooks are never called there.
                scan.compiled[scan.blocks.pop(block).path] = f"{path or 'The model'} {words}"
            else:
                # Compiled in place: while somebody listens it runs as it was written.
                scan.blocks[block] = replace(place, compiled=(*place.compiled, module))
    if words and is_named_like_se(str(getattr(module, "original_name", ""))):
        scan.compiled[path] = f"{path or 'The model'} {words}"


def _are_nested(first: str, second: str) -> bool:
    return (
        not first
        or first == second
        or second.startswith(f"{first}.")
        or first.startswith(f"{second}.")
    )


def _name_unknown(scan: Scan, suspects: list[tuple[str, nn.Module]]) -> None:
    """Name the modules that may be SE blocks, but not what only holds such blocks."""
    paths = [
        *(place.path for place in scan.blocks.values()),
        *scan.misfits,
        *scan.attentions,
        *scan.compiled,
    ]
    # Inner modules first: what holds one that has a name needs none itself.
    for path, module in reversed(suspects):
        inner = any(
            block.startswith(f"{path}.") or path.startswith(f"{block}.")
            for block in [*paths, *scan.unknown]
        )
        if inner or path in scan.compiled or not [*module.parameters()]:
            continue
        scan.unknown[path] = (
            f"{type(module).__name__} is named like an SE block, but no gate was found there: it "
            "multiplies by no factor for a whole channel that layers make of a pooled map, or "
            "where no pass can be followed. Choose another block."
        )


def _walk(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    # `named_modules` gives the same in five times as long, and a capture scans the model each time.
    visited: set[nn.Module] = set()
    waiting = [("", model)]
    while waiting:
        path, module = waiting.pop()
        if module in visited:
            continue
        visited.add(module)
        yield path, module
        prefix = f"{path}." if path else ""
        children = reversed(module._modules.items())
        waiting.extend((prefix + name, child) for name, child in children if child is not None)


@lru_cache(maxsize=2)
def _tables(rows: tuple[Spelling, ...]) -> tuple[dict[object, Spelling], dict[type, _Kind]]:
    # A changed table is another key, so that nothing learned from the old one stays.
    return {row.kind: row for row in rows}, {}


def _kind_of(
    kind: type[nn.Module], rows: dict[object, Spelling], kinds: dict[type, _Kind]
) -> _Kind:
    # A class is looked up once, however many modules it has.
    return kinds.get(kind) or kinds.setdefault(kind, _kind(kind, rows))


def _kind(kind: type[nn.Module], rows: dict[object, Spelling]) -> _Kind:
    row, attention = _meaning(kind, rows)
    compiled = say_compiled(kind)
    suspect = is_named_like_se(kind.__name__)
    in_class = not compiled and hasattr(kind.forward, "_torchdynamo_orig_callable")
    return _Kind(
        row, attention, compiled, in_class, suspect, plain=not (row or attention or suspect)
    )


def _meaning(kind: type, rows: dict[object, Spelling]) -> tuple[Spelling | None, str | None]:
    for base in kind.__mro__:
        path = path_of(base)
        row = rows.get(base) or rows.get(path) or rows.get(f"*.{base.__name__}")
        attention = OTHERS.get(path) or OTHERS.get(f"*.{base.__name__}")
        if row or attention:
            return row, attention
    return None, None


def _file(scan: Scan, path: str, module: nn.Module, *, kind: _Kind) -> bool:
    """Note what a module is; False where at most the name of its class is known."""
    row = kind.row
    attention = kind.attention
    if row and (place := _place(path, module, row)):
        scan.blocks[module] = place
    elif attention:
        scan.attentions[path] = attention
    elif row and not row.guessed:
        missing = row.squeeze if _child(module, row.squeeze) is None else row.gate
        scan.misfits[path] = f"{row.form} has no child {missing!r} here, which its row names."
    else:
        return False
    return True


def _place(path: str, block: nn.Module, row: Spelling) -> Place | None:
    squeeze = _child(block, row.squeeze)
    gate = _child(block, row.gate)
    # A name alone may be another thing: the gate has to come from a function, not from a layer.
    if squeeze is None or gate is None or (row.guessed and [*gate.parameters()]):
        return None
    return Place(path, block, row, squeeze, gate)


def _child(block: nn.Module, path: str) -> nn.Module | None:
    parent, _, name = path.rpartition(".")
    try:
        holder = block.get_submodule(parent)
        # `get_submodule` has no name for the last of a list.
        if name == "-1" and isinstance(holder, nn.Sequential):
            return holder[-1]
        return holder.get_submodule(name)
    except (AttributeError, IndexError):
        return None
