"""Where in a file the weights of an architecture lie: found by names and shapes, under any
prefix.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from se_viz.names import show_name
from se_viz.networks.formats import Entry

COUNTERS = ("num_batches_tracked", "n_averaged", "total_ops", "total_params")
"""Last parts of names that no answer depends on: counters of training and of profilers."""
# What wrappers put between the parts of a name.
_WRAPPED = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# What an average of weights is called; the weights themselves come first.
_AVERAGES = {"ema", "average", "averaged", "avg", "swa", "teacher", "shadow", "momentum"}
_CLOSEST = 20
_BESIDE = "loss|criterion|metric|accuracy|confusion|auroc|(^|_)(acc|f1|ema|teacher|lpips)($|_)"


@dataclass(frozen=True, slots=True)
class Match:
    """Tensors of an architecture that lie in a file under one prefix."""

    prefix: str
    """What stands before the architecture's names."""
    names: dict[str, str]
    """Of each of the architecture's tensors that is there: its whole name in the file."""
    fitting: int
    """How many of them have the right shape."""
    missing: tuple[str, ...]
    """Tensors of the architecture that are not there, counters left out."""

    @property
    def title(self) -> str:
        """What a sentence calls it."""
        return f"'{show_name(self.prefix)}'" if self.prefix else "the file itself"


def find_matches(
    entries: Mapping[str, Entry], expected: Mapping[str, Tensor], free: Mapping[str, int]
) -> list[Match]:
    """Find where tensors of an architecture lie in a file; the match to take comes first.

    A name of the architecture may stand under any prefix: dictionaries, lists and wrappers are
    parts of a whole name. ``free`` are axes whose side the file decides, by name.

    The order: matches where every tensor is and fits; among them weights before an average of
    them, then the shortest prefix, then the file's order. Others by how many fit.
    """
    names = sorted(_by_prefix(entries, expected).items(), key=lambda pair: -len(pair[1]))
    # Of the closest alone: a file may have a prefix for every tensor.
    matches = [_match(*pair, entries, expected, free) for pair in names[:_CLOSEST]]
    return sorted(matches, key=lambda match: _rank(match, len(expected)))


def is_whole(match: Match) -> bool:
    """Tell whether every tensor that answers depend on is there, in its shape."""
    return not match.missing and match.fitting == len(match.names)


def _by_prefix(entries: Iterable[str], expected: Mapping[str, Tensor]) -> dict[str, dict[str, str]]:
    # An architecture may have a part of such a name itself.
    wrapped = _WRAPPED - {part for name in expected for part in name.split(".")}
    longest = max(name.count(".") for name in expected) + 1
    names: dict[str, dict[str, str]] = {}
    for name in entries:
        parts = name.split(".")
        suffix: list[str] = []
        # From the end: the architecture's name is a suffix, whatever stands before it.
        for start in range(len(parts) - 1, -1, -1):
            if parts[start] in wrapped:
                continue
            suffix.insert(0, parts[start])
            if len(suffix) > longest:
                break
            if (ours := ".".join(suffix)) in expected:
                prefix = "".join(f"{part}." for part in parts[:start])
                names.setdefault(prefix, {}).setdefault(ours, name)
    return names


def _match(
    prefix: str,
    names: dict[str, str],
    entries: Mapping[str, Entry],
    expected: Mapping[str, Tensor],
    free: Mapping[str, int],
) -> Match:
    fitting = sum(
        _fits(entries[name].shape, tuple(expected[ours].shape), free.get(ours))
        for ours, name in names.items()
    )
    missing = tuple(
        name for name in expected if name not in names and name.split(".")[-1] not in COUNTERS
    )
    return Match(prefix, names, fitting, missing)


def _fits(shape: tuple[int, ...], expected: tuple[int, ...], free: int | None) -> bool:
    if free is None or len(shape) != len(expected):
        return shape == expected
    return shape[:free] + shape[free + 1 :] == expected[:free] + expected[free + 1 :]


def _rank(match: Match, count: int) -> tuple[int, bool, int]:
    # Whole matches come first, whatever counters they lack.
    missing = 0 if is_whole(match) else count - match.fitting
    words = set(re.split(r"[\W_]+", match.prefix.lower()))
    return missing, not words.isdisjoint(_AVERAGES), match.prefix.count(".")


def split_rest(
    match: Match, entries: Mapping[str, Entry], expected: Mapping[str, Tensor], classes: int
) -> tuple[list[str], list[str]]:
    """Return what stands beside a match's tensors: layers that no network of this kind has, others.

    A layer would have its part in the answer. Losses, metrics and counters have none: they are
    told by their names, by whole numbers, or because every side is 1, 2 or the number of classes.
    """
    folders = {entries[name].folder for name in match.names.values()}
    own_names = set(match.names.values())
    parts = {name.split(".")[0] for name in expected}
    layers = []
    extras = []
    for name, entry in entries.items():
        if name in own_names or entry.folder not in folders or not name.startswith(match.prefix):
            continue
        first, *rest = name.removeprefix(match.prefix).split(".")
        if [first, *rest][-1] in COUNTERS:
            continue
        beside = first not in parts and _is_no_layer(first, entry, classes)
        (extras if beside else layers).append(name)
    return layers, extras


def _is_no_layer(first: str, entry: Entry, classes: int) -> bool:
    sides = set(entry.shape) <= {1, 2, classes} and entry.shape[-2:] != (1, 1)
    whole = "float" not in entry.dtype
    return sides or whole or re.search(_BESIDE, first.lower()) is not None
