"""Edits of gates as one line of text, short enough for a link:
``set0@layer4.2.se:3,7-9;scale1.5@layer3.0.se``.
"""

import re
from collections.abc import Iterator, Sequence

from se_viz.errors import EditError
from se_viz.gates.surgery import GateEdit, Targets, level_gates, scale_gates, set_gates

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_EDIT = re.compile(rf"(set|scale|level)({_NUMBER})?@(.+)", re.ASCII)
_TARGET = re.compile(r"([\w.]+)(?::(\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*))?", re.ASCII)
_MOST_CHANNELS = 2**16
"""Above the widest layer of all blocks; a number beyond it is a mistake."""


def write_edits(edits: Sequence[GateEdit]) -> str:
    """Return edits as text, in the order they act; `read_edits` gives the same edits back."""
    return ";".join(_write(edit) for edit in edits)


def read_edits(text: str) -> tuple[GateEdit, ...]:
    """Read what `write_edits` wrote; whether a network has such blocks is not looked at.

    Raises:
        EditError: the text is none of these, or names a channel that no block could have.
    """
    return tuple(_read(part) for part in text.split(";")) if text else ()


def _write(edit: GateEdit) -> str:
    amount = "" if edit.action == "level" else repr(edit.amount).removesuffix(".0")
    targets = "!".join(
        block if channels is None else f"{block}:{','.join(_ranges(channels))}"
        for block, channels in edit.targets
    )
    return f"{edit.action}{amount}@{targets}"


def _ranges(channels: Sequence[int]) -> Iterator[str]:
    """Return runs of neighbouring channels, of which the first and the last are named."""
    start = end = channels[0]
    for channel in [*channels[1:], None]:
        if channel == end + 1:
            end = channel
            continue
        yield f"{start}" if start == end else f"{start}-{end}"
        if channel is not None:
            start = end = channel


def _read(part: str) -> GateEdit:
    match = _EDIT.fullmatch(part)
    if not match or (match[1] == "level") != (match[2] is None):
        raise EditError(
            f"{part[:60]!r} is no edit of gates. Write it as `set0@BLOCK:3,7-9`, "
            "`scale1.5@BLOCK` or `level@BLOCK`."
        )
    targets = dict(_read_targets(match[3]))
    if match[1] == "level":
        return level_gates(targets)
    return (set_gates if match[1] == "set" else scale_gates)(targets, float(match[2]))


def _read_targets(text: str) -> Targets:
    return tuple(_read_target(part) for part in text.split("!"))


def _read_target(text: str) -> tuple[str, tuple[int, ...] | None]:
    match = _TARGET.fullmatch(text)
    if not match:
        raise EditError(
            f"{text[:60]!r} names no channels of a block. Write the block's path, and after a "
            "colon its channels: `layer4.2.se:3,7-9`."
        )
    if match[2] is None:
        return match[1], None
    channels: set[int] = set()
    for run in match[2].split(","):
        first, _, last = run.partition("-")
        low, high = int(first), int(last or first)
        if high >= _MOST_CHANNELS or low > high:
            raise EditError(
                f"{match[1]} cannot have channels {run[:60]}. Name channels from the lowest to "
                f"the highest, below {_MOST_CHANNELS}."
            )
        channels.update(range(low, high + 1))
    return match[1], tuple(sorted(channels))
