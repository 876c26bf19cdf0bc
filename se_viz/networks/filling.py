"""The tensors of a file that are a model's: found by name and shape, checked, and filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from se_viz.errors import CheckpointError
from se_viz.files import read_file
from se_viz.names import show_name
from se_viz.networks.card import MAX_CLASSES
from se_viz.networks.fit import Match, find_matches, is_whole, split_rest
from se_viz.networks.listing import Listing, read_listing
from se_viz.networks.pickles import DTYPES, refusal
from se_viz.networks.weights import check_fit, differences, refuse

MAX_BYTES = 2**30
"""Largest file of weights that is read."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file has to hold."""

    expected: Mapping[str, Tensor]
    """The model's own tensors, of which only the shapes count."""
    title: str
    """What a sentence calls the model."""
    advice: str
    """What to do where the file does not fit."""
    free: Mapping[str, int]
    """Axes whose side the file decides, by name: the number of classes."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Which tensors of a file are a model's."""

    names: dict[str, str]
    """Whole name in the file, by the model's own name."""
    classes: int
    """Number of classes, where the file decides it; otherwise 0."""
    notes: str
    """What was chosen or left out, for people."""


def fill_model(model: nn.Module, file: Path, title: str) -> str:
    """Fill a model, in place, with the weights of a file; return what was chosen or left out.

    Tensors are read in the model's own precision, from under any prefix. Nothing in the file is
    run.

    Raises:
        CheckpointError: the file cannot be read, or does not fit.
    """
    listing = read_listing(read_content(file, show_name(file.name)), show_name(file.name))
    advice = "Give weights of this very model, or correct the file."
    expected = _tensors_of(model)
    if not expected:
        raise CheckpointError(f"{title} has no weights. Leave the file of weights out.")
    fit = find_fit(listing, Plan(expected, title, advice, {}))
    fill(model, listing, fit, advice)
    return fit.notes


def fill(model: nn.Module, listing: Listing, fit: Fit, advice: str) -> None:
    """Fill a model, in place, with the tensors that were found.

    Raises:
        CheckpointError: a value is not finite, or a tensor is missing.
    """
    state = _tensors_of(model)
    tensors = {key: listing.take(entry).to(state[key].dtype) for key, entry in fit.names.items()}
    # Counters of training that a file lacks: no answer depends on them.
    check_fit(state, {**state, **tensors}, listing.title, advice=advice)
    model.load_state_dict({**model.state_dict(), **tensors})


def _tensors_of(model: nn.Module) -> dict[str, Tensor]:
    # A module may keep other things in its state.
    state = model.state_dict()
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def read_content(source: bytes | Path, name: str) -> bytes:
    """Read a file of weights, or take its bytes, within bounds.

    Raises:
        CheckpointError: it cannot be read, or is too large.
    """
    try:
        content = source if isinstance(source, bytes) else b""
        size = len(content) if isinstance(source, bytes) else source.stat().st_size
        if size <= MAX_BYTES and isinstance(source, Path):
            content = read_file(source, MAX_BYTES)
            size = len(content)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"{show_name(source)} cannot be read: {reason}. Check the name."
        ) from error
    if size > MAX_BYTES:
        raise CheckpointError(
            f"{name} has {size / 1e9:.1f} GB, more than the {MAX_BYTES / 1e9:.1f} GB that se_viz "
            "reads. Save the weights alone, without the optimiser, in half precision."
        )
    return content


def find_fit(listing: Listing, plan: Plan) -> Fit:
    """Find the tensors of a model in a file.

    Raises:
        CheckpointError: they are not there, or of other shapes.
    """
    expected = plan.expected
    matches = find_matches(listing.entries, expected, plan.free)
    match = matches[0] if matches else None
    # Of less than half a network, a list of what is missing would explain nothing.
    if match is None or 2 * len(match.names) < len(expected):
        raise CheckpointError(_other_weights(listing, plan, len(match.names) if match else 0))
    _check_kinds(listing, match)
    count = _count_classes(listing, match, plan) if plan.free else 0
    needed = {
        name: tuple(
            count if axis == plan.free.get(name) else side
            for axis, side in enumerate(expected[name].shape)
        )
        for name in expected
        if name in match.names or name in match.missing
    }
    layers, extras = split_rest(match, listing.entries, expected, count)
    actual = {key: listing.entries[entry].shape for key, entry in match.names.items()}
    actual |= {name.removeprefix(match.prefix): listing.entries[name].shape for name in layers}
    refuse(differences(needed, actual), listing.title, plan.advice)
    listing.check_size(list(match.names.values()))
    return Fit(match.names, count, _notes(matches, extras))


def _other_weights(listing: Listing, plan: Plan, matching: int) -> str:
    entries = listing.entries
    foreign_classes = listing.foreign_classes
    objects = "." in listing.root or any("_parameters" in name.split(".") for name in entries)
    if not matching and foreign_classes and (objects or not entries):
        return refusal(listing.title, foreign_classes[0])
    if not entries and listing.root != "dict":
        return (
            f"{listing.title} holds a {show_name(listing.root)}, not a state dict. Save "
            "`model.state_dict()`."
        )
    if not entries:
        return (
            f"{listing.title} is no state dict of plain tensors: no tensor is in it. Save "
            "`model.state_dict()`."
        )
    # Raises, and names the kind of tensor.
    if all(entry.dtype not in DTYPES for entry in entries.values()):
        listing.take(next(iter(entries)))
    return (
        f"{listing.title} holds other weights than {plan.title}: {matching} of its "
        f"{len(plan.expected)} tensors are in the file. {plan.advice}"
    )


def _check_kinds(listing: Listing, match: Match) -> None:
    for name in match.names.values():
        if listing.entries[name].dtype not in DTYPES:
            listing.take(name)


def _count_classes(listing: Listing, match: Match, plan: Plan) -> int:
    """Tell the number of classes from the one tensor whose shape depends on it."""
    free = plan.free
    head = next((name for name in free if name in match.names), None)
    if head is None:
        raise CheckpointError(
            f"{listing.title} has no classifier: {' and '.join(free)} are missing, and se_viz "
            "explains what a classifier answers. Save the whole model, with its last layer."
        )
    shape = listing.entries[match.names[head]].shape
    count = shape[free[head]] if len(shape) > free[head] else 0
    if not 1 <= count <= MAX_CLASSES:
        raise CheckpointError(
            f"{listing.title} has a classifier {head} for {count} classes. {plan.advice}"
        )
    return count


def _notes(matches: Sequence[Match], extras: Sequence[str]) -> str:
    """Say which of several weights were taken, and what no layer of the network is."""
    first, *rest = [match for match in matches if is_whole(match)]
    notes = ""
    if rest:
        also = ", ".join(match.title for match in rest[:3])
        notes = f"Read from {first.title}; {also} would fit too: to see those, save them alone."
    if extras:
        more = f" and {len(extras) - 3} more" if len(extras) > 3 else ""
        names = ", ".join(map(show_name, extras[:3])) + more
        notes = f"{notes} Left out, as no part of the network: {names}.".strip()
    return notes
