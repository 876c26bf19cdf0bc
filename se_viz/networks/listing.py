"""The tensors of a file that a stranger wrote: listed by a child process, taken one by one."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor

from se_viz.confined import Bounds, ConfinedError, run_confined
from se_viz.errors import CheckpointError
from se_viz.names import show_name
from se_viz.networks.formats import Entry
from se_viz.networks.pickles import DTYPES, refusal

# An honest file of 400 MB takes a twentieth of a second: its tensors are not read here.
_BOUNDS = Bounds(memory=512 * 2**20, seconds=20, result=16 * 2**20)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a file of weights holds."""

    title: str
    """What messages call the file."""
    content: bytes = field(repr=False)
    root: str
    """What the whole is: ``dict``, ``list``, ``tensor`` or a class."""
    entries: dict[str, Entry] = field(repr=False)
    """Every tensor by its whole path, in the file's order."""
    foreign_classes: tuple[str, ...]
    """Classes of objects that were not read."""

    def take(self, name: str) -> Tensor:
        """Return one tensor: a copy, whose size its entry tells.

        Raises:
            CheckpointError: it is of a kind that is not read.
        """
        entry = self.entries[name]
        if entry.dtype not in DTYPES:
            raise CheckpointError(
                f"{self.title} is no state dict of plain tensors: {show_name(name)} is a tensor of "
                f"the kind {show_name(entry.dtype)}. Save `model.state_dict()` with dense tensors "
                "of 16, 32 or 64 bits on the CPU."
            )
        if 0 in entry.shape:
            return torch.empty(entry.shape, dtype=getattr(torch, entry.dtype))
        sides = zip(entry.shape, entry.stride, strict=True)
        count = 1 + sum((side - 1) * step for side, step in sides)
        stop = entry.start + count * DTYPES[entry.dtype]
        # An aligned copy; a byte of a truth value may be any, and only 0 is false.
        raw = bytearray(memoryview(self.content)[entry.start : stop])
        if entry.dtype == "bool":
            values = torch.frombuffer(raw, dtype=torch.uint8) != 0
        else:
            values = torch.frombuffer(raw, dtype=getattr(torch, entry.dtype))
        return values.as_strided(entry.shape, entry.stride).clone(
            memory_format=torch.contiguous_format
        )

    def check_size(self, names: list[str]) -> None:
        """Check that some tensors claim no more values than a file of this size can hold.

        Raises:
            CheckpointError: they do; one value may stand for many by a stride of 0.
        """
        entries = [self.entries[name] for name in names]
        size = sum(prod(entry.shape) * DTYPES.get(entry.dtype, 0) for entry in entries)
        if size > 2 * len(self.content) + 2**24:
            raise CheckpointError(
                f"{self.title} has {len(self.content) / 1e6:.1f} MB, and its tensors claim "
                f"{size / 1e6:.0f} MB. Save `model.state_dict()` with tensors of their own values."
            )


def read_listing(
    content: bytes, title: str, *, watch: Callable[[], None] = lambda: None
) -> Listing:
    """List the tensors of a safetensors file, or of what ``torch.save`` wrote; no code is run.

    Raises:
        CheckpointError: it is neither, or damaged.
    """
    task = "se_viz.networks.formats:list_tensors"
    try:
        output = run_confined(task, content, _BOUNDS, watch=watch, title=title)
    except ConfinedError as error:
        raise CheckpointError(_refusal(title, error.reason)) from error
    values = json.loads(bytes(output))
    entries = [
        Entry(name, dtype, start, tuple(shape), tuple(stride), folder)
        for name, dtype, start, shape, stride, folder in values["entries"]
    ]
    # Of two of one name the first is what a reader of the file finds first.
    by_name = {entry.name: entry for entry in reversed(entries)}
    ordered = {entry.name: by_name[entry.name] for entry in entries}
    return Listing(title, content, values["root"], ordered, tuple(values["others"]))


def _refusal(title: str, reason: str) -> str:
    if reason == "content":
        return refusal(title, "")
    what = {
        "memory": f"more than {_BOUNDS.memory // 2**20} MB of memory beside its own size",
        "time": f"more than {_BOUNDS.seconds} seconds",
        "size": "a list of tensors longer than any network's",
    }.get(reason, "deeper nesting than any network's")
    return (
        f"{title} takes {what} to read: it is damaged, or made to do harm. Write the network's "
        "`model.state_dict()` to a .safetensors file, and take that."
    )
