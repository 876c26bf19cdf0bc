"""Remarks on a network's gates that its pictures need: colours, functions, squeeze, blocks that
are not drawn.
"""

from collections.abc import Iterator

from se_viz.charts import GATES, Palette, Span
from se_viz.gates.records import GateSite, Inspection
from se_viz.ui.words import as_markdown, code

_SHOWN = 3


def describe_colours(span: Span, palette: Palette) -> str:
    """Say what the colours of gates mean, as a part of a sentence."""
    return (
        f"{palette.high_name} channels are turned up (gate above {span.middle:.2g}), "
        f"{palette.low_name} channels down"
    )


def describe_scale(sites: tuple[GateSite, ...], span: Span) -> str:
    """Say what is unusual in the scale of this network's gates; nothing of plain sigmoids."""
    names = sorted({site.function for site in sites})
    if gains := {site.gain for site in sites} - {1.0}:
        gain = max(gains)
        return (
            f"This network multiplies by {gain:g} beside each SE block, so gates are shown as gate "
            f"x {gain:g}: 1 leaves a channel unchanged, as without the block."
        )
    if span != GATES:
        return f"Gates come from {', '.join(names)} and have a scale of their own."
    if any(site.closed for site in sites):
        return f"{', '.join(names)} reaches 0 and 1: such channels are shut, or pass unchanged."
    return ""


def describe_squeeze(sites: tuple[GateSite, ...]) -> str:
    """Say what the squeeze of a channel is: its mean, or in some blocks another summary."""
    number = sum(not site.averaged for site in sites)
    if not number:
        return "each channel's mean over all positions"
    if number == len(sites):
        return "one number that summarises each channel (in this network not its mean)"
    return (
        f"each channel's mean over all positions (in {number} of {len(sites)} blocks another "
        "summary)"
    )


def name_the_undrawn(inspection: Inspection) -> Iterator[str]:
    """Yield one Markdown sentence for each attention block that is not among the pictures, the
    first few by name.
    """
    undrawn = {**inspection.refused, **inspection.others}
    for path, reason in list(undrawn.items())[:_SHOWN]:
        yield f"Not drawn ({code(path)}): {as_markdown(reason)}"
    if len(undrawn) > _SHOWN:
        yield (
            f"Not drawn either: {len(undrawn) - _SHOWN} more such blocks. The Networks page lists "
            "all."
        )
