"""What the health of gates comes to in plain words: a sentence or two a block, and as many for the network."""

from collections.abc import Iterator, Sequence

from se_viz.gates.health import CONSTANT, DEAD, FIXED, FLAGS, NO_NUMBER, SATURATED, STUCK, BlockHealth

MEANINGS = {
    NO_NUMBER: "Gates are NaN or infinite, and so is all that comes after them. Look at the first such block.",
    STUCK: "Most gates are near the middle of the range, the function of 0: the excitation says nothing, as where its "
    "weights are zero or were never trained.",
    CONSTANT: "In every image all channels get nearly the same gate: the block scales, but does not choose.",
    SATURATED: "Most gates are at an end of the range, where the function hardly reacts to its input. At the upper "
    "end the block lets everything pass.",
    DEAD: "Channels are zero in every image: their gates multiply nothing.",
    FIXED: "Channels get different gates, but nearly the same ones in every image. In early blocks that is usual.",
}
"""What each flag says, for a reader who meets it the first time."""

_NAMED = 6


def describe_block(block: BlockHealth) -> str:
    """Say what the gates of a block do, with the numbers in it."""
    parts = [_describe(block, flag) for flag in block.flags] or [_describe_healthy(block)]
    if block.dead is None:
        parts.append("whether channels are dead cannot be told from their means")
    return f"{block.label}: {'; '.join(parts)}."


def describe_network(blocks: Sequence[BlockHealth]) -> str:
    """Say in a sentence or two whether the gates of a network are in order."""
    return " ".join(_describe_all(blocks))


def _describe_all(blocks: Sequence[BlockHealth]) -> Iterator[str]:
    healthy, count = [block for block in blocks if not block.flags], len(blocks)
    if all(STUCK in block.flags for block in blocks):
        yield (
            f"The gates of {_all(count)} are stuck at {_middle(blocks[0]):.2g}: the excitation says nothing. Check "
            "that its weights were trained, and that they are in the file that was loaded."
        )
    elif all(CONSTANT in block.flags for block in blocks):
        yield (
            f"In {_all(count)} every channel gets nearly the same gate, {_means(blocks)}: the network runs, but its SE "
            "blocks choose nothing. Check that the excitation's weights are not near zero beside its biases."
        )
    elif not healthy:
        yield f"None of the {count} blocks is without a flag."
    elif len(healthy) < count:
        yield f"{len(healthy)} of {count} blocks are healthy: their gates differ between channels and between images."
    else:
        yield f"The gates of {_all(count)} are healthy: they differ between channels and between images."
    for flag in FLAGS:
        if flagged := [block.label for block in blocks if flag in block.flags]:
            yield f"{flag.capitalize()}: {_listed(flagged, count)}."
    if blocks[0].images == 1:
        yield "One image does not tell whether gates depend on the image: check several."


def _describe(block: BlockHealth, flag: str) -> str:
    function, limits, unit = block.site.function, block.limits, block.unit
    if flag == NO_NUMBER:
        return "its gates hold NaN or infinity, and all that comes after it does too"
    if flag == STUCK:
        return (
            f"{block.near_middle:.0%} of its gates are within {limits.middle * unit:.2g} of {_middle(block):.2g}, the "
            f"{function} of 0, so its excitation says nothing"
        )
    if flag == CONSTANT:
        return (
            f"every channel gets nearly the same gate, {block.mean:.2f} on average, with a standard deviation over "
            f"channels of at most {block.over_channels:.2g}, so it scales but does not choose"
        )
    if flag == SATURATED:
        return (
            f"{block.near_high:.0%} of its gates are within {limits.end * unit:.2g} of {block.site.high:.2g} and "
            f"{block.near_low:.0%} of {block.site.low:.2g}, where {function} hardly reacts to its input"
        )
    if flag == DEAD:
        return f"dead, which is zero in every image, are {block.dead} of its {block.site.channels} channels"
    return (
        f"gates are {block.mean:.2f} on average and differ between channels (standard deviation up to "
        f"{block.over_channels:.2f}), but hardly between images ({block.image_share:.1%} of the variance)"
    )


def _describe_healthy(block: BlockHealth) -> str:
    words = (
        f"gates are {block.mean:.2f} on average and differ between channels (standard deviation up to "
        f"{block.over_channels:.2f})"
    )
    if block.image_share is None:
        return words
    return f"{words} and between images ({block.image_share:.1%} of the variance)"


def _middle(block: BlockHealth) -> float:
    return (block.site.low + block.site.high) / 2


def _all(count: int) -> str:
    return f"all {count} blocks" if count > 1 else "the one block"


def _means(blocks: Sequence[BlockHealth]) -> str:
    low, high = (f"{end(block.mean for block in blocks):.2f}" for end in (min, max))
    return f"about {low}" if low == high else f"from {low} to {high} by block"


def _listed(labels: list[str], count: int) -> str:
    if len(labels) == count:
        return _all(count)
    rest = len(labels) - _NAMED
    # One more name is shorter than saying that there is one more.
    return ", ".join(labels) if rest <= 1 else f"{', '.join(labels[:_NAMED])} and {rest} more"
