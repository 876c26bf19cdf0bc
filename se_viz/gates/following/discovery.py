"""What a pass that was followed comes to: which blocks it has found, and what is none."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from torch import nn

from se_viz.gates.following.findings import Findings, Found
from se_viz.gates.following.marks import Mark
from se_viz.gates.listeners import Listener
from se_viz.gates.places import Place

_KINDS = {
    "sum": (
        "{name} adds its input, or another product of it, to its input times a gate, so that no "
        "gate is the multiplier of a channel."
    ),
    "branches": (
        "{name} weighs branches or groups of channels by an attention, with no one factor for a "
        "whole channel."
    ),
    "squeeze": (
        "{name} multiplies by gates that come from a map with other channels, so that a gate has "
        "no squeeze of its own."
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """One product of a pass that was followed."""

    place: Place
    parts: frozenset[nn.Module]
    """The modules whose code took part in the gate."""


def conclude(
    listener: Listener, products: Iterable[Product], read: Collection[str] = ()
) -> Findings:
    """Return what a pass has shown beside the blocks that are ``read`` by their class."""
    others = {
        path: _KINDS[kind].format(name=type(module).__name__)
        for module, kind in listener.refusals.items()
        if not is_inside(path := listener.paths[module], read)
    }
    found: dict[str, Found] = {}
    for product in products:
        path = product.place.path
        if not is_inside(path, read) and path not in others:
            found[path] = _widen(found.get(path), _find(listener, product))
    return Findings(found, others=others)


def explain(
    suspects: dict[str, str], products: Iterable[Product], listener: Listener
) -> dict[str, str]:
    """Return the suspects that take part in no product, by their names and what is said of them."""
    parts = {
        listener.paths[module]
        for product in products
        for module in (*product.parts, product.place.block)
        if module in listener.paths
    }
    return {
        path: sentence
        for path, sentence in suspects.items()
        if not any(is_inside(part, [path]) for part in parts)
    }


def is_inside(path: str, holders: Iterable[str]) -> bool:
    """Return whether a path is one of some others, or is below one."""
    return any(not holder or path == holder or path.startswith(f"{holder}.") for holder in holders)


def _find(listener: Listener, product: Product) -> Found:
    place = product.place
    assert place.flow is not None
    counts = listener.counts.get(place.block, set())
    # Nothing of the pass is kept but where channels are.
    inputs = tuple(mark and Mark(mark.levels, mark.axis, mark.masked) for mark in place.flow.inputs)
    return Found(
        listener.paths[place.flow.scope],
        inputs,
        next(iter(counts)) if len(counts) == 1 else None,
        place.row.channels_last,
        tuple(
            path
            for module, path in listener.paths.items()
            if module in product.parts and module._parameters
        ),
    )


def _widen(before: Found | None, found: Found) -> Found:
    """Return how to read all uses of a block: from the outermost of the modules around them."""
    parts = tuple(dict.fromkeys((*(before.parts if before else ()), *found.parts)))
    outer = before if before and len(before.scope) <= len(found.scope) else found
    return replace(outer, parts=parts)
