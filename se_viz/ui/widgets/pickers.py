"""Widgets by which several pages let people choose the same things.

Why: docs/decisions/032-pickers-keep-their-key.md
"""

from collections.abc import Container, Mapping, Sequence
from typing import Literal, TypeVar

import streamlit as st

from se_viz.experiments import Analysis
from se_viz.gates.records import GateRecord, GateSite
from se_viz.gates.tables import label_blocks
from se_viz.ui.asking import Choices
from se_viz.ui.glossary import explain
from se_viz.ui.session import (
    is_chosen,
    keys,
    link_option,
    note,
    open_first_block,
    open_first_channel,
)

Option = TypeVar("Option", str, int)

_WIDE = 0.5
_SATURATED = 0.99

_ENOUGH = 0.5
"""How far gates have to differ in a block that stays open, as a share of where they differ most."""


def block_kept_open(uses: Sequence[GateRecord | GateSite]) -> str | None:
    """Return the name of the block that the session has open, if it is among these."""
    name = keys.BLOCK.get()
    return name if name in {use.name for use in uses} else None


def open_block_of(analysis: Analysis) -> str:
    """Return the name of the session's open block.

    Where the network has none of that name, open one first.

    That is the block whose gates differ most: the first sight should be a block that chooses, not
    one whose gates all stand open. It stays for later photos, whose pass keeps its maps, but gives
    way where their gates in it hardly differ and nobody has chosen it.
    """
    spreads = {record.name: record.gate.std(correction=0).item() for record in analysis.records}
    widest = max(spreads, key=spreads.__getitem__)
    block = block_kept_open(analysis.records)
    if block is None or (not is_chosen() and spreads[block] < _ENOUGH * spreads[widest]):
        open_first_block(widest)
        return widest
    return block


def choose_block(
    analysis: Analysis,
    *,
    width: int | Literal["stretch"] = "stretch",
    words: Sequence[str] = (),
) -> str:
    """Offer every block; return the name of the open one, which a click may have set.

    ``words`` are those that stand here first on the page: its help mark explains them.
    """
    labels = label_blocks(analysis.records)
    note(keys.BLOCK.name, keys.BLOCK.get)
    # Also where it is the same: a page that is new to the browser would begin with the first block.
    keys.BLOCK.set(open_block_of(analysis))
    return st.selectbox(
        "Open block",
        list(labels),
        format_func=labels.__getitem__,
        key=keys.BLOCK.name,
        help=explain(*words) or None,
        persist_state="session",
        width=width,
    )


def open_channel_of(record: GateRecord) -> int:
    """Return the session's open channel; where a block has none of that number, open one first."""
    note(keys.CHANNEL.name, keys.CHANNEL.get)
    channel = keys.CHANNEL.get()
    if channel is None or not 0 <= channel < record.gate.shape[1]:
        channel = find_wide_channel(record)
        open_first_channel(channel)
    return channel


def find_wide_channel(record: GateRecord) -> int:
    """Return the channel of a wide gate that lets most pass: |gate x squeeze| is largest.

    Wide are gates in the upper half of a sigmoid's range, short of its end, where no pixel moves
    them; where there is none, the widest gate of all.
    """
    gate = record.gate[0] / record.gain
    passed = (gate * record.squeeze[0]).abs()
    wide = (gate >= _WIDE) & (gate <= _SATURATED)
    return int((passed if wide.any() else gate).where(wide | ~wide.any(), -1.0).argmax())


def choose_channel(record: GateRecord, *, words: Sequence[str] = ()) -> int:
    """Offer every channel of a block; ``words`` as for `choose_block`.

    Return the number of the open one, which a click may have set.
    """
    channels = record.gate.shape[1]
    # Set also where it is the same, as for the block.
    keys.CHANNEL.set(open_channel_of(record))
    return st.number_input(
        f"Channel, 0 to {channels - 1}",
        0,
        channels - 1,
        step=1,
        key=keys.CHANNEL.name,
        help=explain(*words) or None,
        persist_state="session",
    )


def choose_class(
    choices: Choices,
    analysis: Analysis,
    label: str = "Class",
    *,
    words: Sequence[str] = (),
    among: Container[int] | None = None,
) -> int:
    """Offer every class, or those ``among`` some, the most probable first; ``words`` as for
    `choose_block`.

    The choice for an image and network holds on all pages.

    Its key is not the image's own: the browser keeps a picker whose key is gone until the run ends,
    which may take minutes.
    """
    names = choices.network.classes
    token = (choices.image.digest, choices.name)
    ranked = [index for index, _ in analysis.top(len(names)) if among is None or index in among]
    targets = keys.TARGETS.get()
    target = keys.TARGET.get() if keys.TARGET_OF.get() == token else targets.get(token)
    # Set also where it is the same, as for the block.
    keys.TARGET.set(target if target in ranked else ranked[0])
    keys.TARGET_OF.set(token)
    note(keys.TARGET.name, keys.TARGET.get, ranked[0])
    target = st.selectbox(
        label,
        ranked,
        format_func=names.__getitem__,
        key=keys.TARGET.name,
        help=explain(*words) or None,
        persist_state="session",
    )
    keys.TARGETS.set({**targets, token: target})
    return target


def choose_option(
    label: str,
    options: Mapping[Option, str],
    *,
    key: str,
    default: Option | None = None,
    help: str | None = None,
) -> Option:
    """Offer a few options in one row; ``help`` stands behind the label's help mark.

    The choice, at first ``default`` or the first one, survives the page and stands in its address.
    """
    first = next(iter(options)) if default is None else default
    link_option(key, options, first)
    return st.segmented_control(
        label,
        list(options),
        default=first,
        required=True,
        format_func=options.__getitem__,
        key=key,
        help=help,
        persist_state="session",
        # Where Streamlit decides, some rows scroll on a phone, and others break into two halves of
        # a frame.
        wrap=False,
    )
