"""Which SE blocks of a model are meant, by their names."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from torch import nn

from se_viz.errors import CaptureError, NoSEBlocksError
from se_viz.gates import spellings
from se_viz.gates.places import Place, Scan, scan_model


@dataclass(frozen=True, slots=True)
class Choice:
    """The blocks that are meant, as far as they are known before a pass."""

    blocks: dict[nn.Module, Place]
    scan: Scan

    @property
    def complete(self) -> bool:
        """Return whether a pass can show no other blocks."""
        return self.scan.followed


def choose_blocks(
    model: nn.Module, names: Collection[str] | None = None, *, also: Iterable[str] = ()
) -> dict[nn.Module, Place]:
    """Return the blocks that ``names`` lists, or all of them; ``also`` is checked to be among them.

    Raises:
        NoSEBlocksError: one that is asked for is compiled, the model has no SE block, or none of a
            name.
        CaptureError: all are asked for, and one lacks what its row names.
    """
    choice = choose(model, names, also=also)
    if not choice.blocks and not choice.scan.blocks:
        raise NoSEBlocksError(say_nothing(model, choice.scan))
    return choice.blocks


def choose(
    model: nn.Module,
    names: Collection[str] | None = None,
    *,
    also: Iterable[str] = (),
    noise: bool = True,
) -> Choice:
    """Return the same, which may be none where a pass of the model is still to show what it has.

    Without ``noise`` the model is not run for it, unless ``names`` has some that are not known.

    Raises:
        NoSEBlocksError: one that is asked for is compiled, or the model has none of a name.
        CaptureError: all are asked for, and one lacks what its row names.
    """
    scan = scan_model(model)
    also = {*also}
    named = _as_set(names or ())
    paths = {place.path for place in scan.blocks.values()}
    known = paths | scan.compiled.keys()
    if not scan.followed and ((noise and not known) or not named <= known):
        scan = _look(model, scan)
    asked_compiled = scan.compiled if names is None else scan.compiled.keys() & _as_set(names)
    if asked_compiled:
        raise NoSEBlocksError(scan.compiled[min(asked_compiled)])
    if names is None and scan.misfits:
        path, sentence = next(iter(scan.misfits.items()))
        raise CaptureError(f"{path}: {sentence} Correct the row in `se_viz.gates.SPELLINGS`.")
    if not scan.blocks and (scan.followed or named or also):
        raise NoSEBlocksError(say_nothing(model, scan))
    return Choice(_select(scan, names, also), scan)


def _look(model: nn.Module, scan: Scan) -> Scan:
    """Follow a pass of noise, where one that is asked for may be known by what it does."""
    # Late: what follows a pass captures and chooses blocks itself.
    from se_viz.gates.inspection import follow_noise

    return scan_model(model) if follow_noise(model) else scan


def _select(
    scan: Scan, names: Collection[str] | None, also: Iterable[str]
) -> dict[nn.Module, Place]:
    paths = {place.path: block for block, place in scan.blocks.items()}
    selection = paths.keys() if names is None else _as_set(names)
    if unknown := sorted((selection - paths.keys()) | (set(also) - selection)):
        choices = ", ".join(path for path in paths if names is None or path in selection)
        raise NoSEBlocksError(
            f"There is no SE block {unknown[0]!r}. Choose among: {choices or ', '.join(paths)}."
        )
    return {block: scan.blocks[block] for path, block in paths.items() if path in selection}


def _as_set(names: Collection[str]) -> set[str]:
    return {names} if isinstance(names, str) else set(names)


def modules_inside(model: nn.Module, paths: Iterable[str]) -> frozenset[nn.Module]:
    """Return the modules of some paths with all that is below them."""
    return frozenset(module for path in paths for module in model.get_submodule(path).modules())


def say_nothing(model: nn.Module, scan: Scan) -> str:
    """Say that a model has no SE block, and what it has instead."""
    opening = f"{type(model).__name__} has no squeeze-and-excitation block that se_viz knows"
    if scan.attentions:
        path, sentence = next(iter(scan.attentions.items()))
        return (
            f"{opening}. What it has is no SE gate: {path} ({sentence}) Choose a network with SE "
            "blocks."
        )
    if scan.compiled:
        return next(iter(scan.compiled.values()))
    forms = ", ".join(row.form for row in spellings.SPELLINGS)
    return (
        f"{opening}: nothing in it multiplies a feature map by one factor for each sample and "
        "channel that layers make of a pooled map. Choose a network with SE blocks. If yours are "
        f"none of {forms} and run where no pass can be followed, add one row to "
        "`se_viz.gates.SPELLINGS`."
    )
