"""What the health of gates comes to in plain words: a sentence or two a block, and as many for the
network.
"""

from collections.abc import Iterator, Sequence

from se_viz.gates.health import (
    CONSTANT,
    DEAD,
    ENOUGH,
    FIXED,
    FLAGS,
    NO_NUMBER,
    SATURATED,
    STUCK,
    UNDECIDED,
    BlockHealth,
)
from se_viz.gates.variance import LEVEL

MEANINGS = {
    NO_NUMBER: "Gates are NaN or infinite, and so is everything after them. Look at the first such "
    "block.",
    STUCK: "Most gates are near the middle of the range, the function of 0: recalibration is weak. "
    "Excitation weights "
    "that are zero, or were never trained, give such gates.",
    CONSTANT: "In each image all channels get nearly the same gate: the block scales all channels "
    "alike.",
    SATURATED: "Most gates are at an end of the range, where the function hardly reacts to its "
    "input. At the upper "
    "end the block lets everything pass.",
    DEAD: "These channels are zero in every image shown: their gates multiply nothing.",
    FIXED: "Channels get different gates, but nearly the same gates in every image. This is usual "
    "in early blocks.",
    UNDECIDED: "The share between images is near the limit: its interval holds the limit, so these "
    "images cannot show "
    f"whether the gates depend on the image. Add images: {ENOUGH} are enough for most blocks; a "
    "block near the limit needs more.",
}
"""What each flag says, for a reader who meets it the first time."""

_NAMED = 6


def describe_block(block: BlockHealth) -> str:
    """Say what the gates of a block do, with the numbers in it."""
    parts = [_describe(block, flag) for flag in block.flags] or [_describe_unflagged(block)]
    if block.dead is None:
        parts.append("their means cannot show whether channels are dead")
    return f"{block.label}: {'; '.join(parts)}."


def describe_network(blocks: Sequence[BlockHealth]) -> str:
    """Say in a sentence or two whether the gates of a network are in order."""
    return " ".join(_describe_all(blocks))


def _describe_all(blocks: Sequence[BlockHealth]) -> Iterator[str]:
    count = len(blocks)
    if all(STUCK in block.flags for block in blocks):
        yield (
            f"The gates of {_all(count)} are near {_middle(blocks[0]):.2g}: recalibration is weak. "
            "Excitation weights that are zero or were never trained look like this: check that "
            "they are in the file that was loaded."
        )
    elif all(CONSTANT in block.flags for block in blocks):
        yield (
            f"In {_all(count)} every channel gets nearly the same gate, {_means(blocks)}: the "
            "network runs, but its SE blocks scale all channels alike. Check that the excitation's "
            "weights are not near zero beside its biases."
        )
    else:
        yield from _describe_mixed(blocks)
    for flag in FLAGS:
        if flagged := [block.label for block in blocks if flag in block.flags]:
            yield f"{flag.capitalize()}: {_listed(flagged, count)}."


def _describe_mixed(blocks: Sequence[BlockHealth]) -> Iterator[str]:
    count = len(blocks)
    images = blocks[0].images
    healthy = sum(not block.flags and block.fixed is False for block in blocks)
    undecided = sum(not block.flags and block.fixed is None for block in blocks)
    if healthy == count:
        yield (
            f"The gates of {_all(count)} are healthy: they differ between channels and between "
            "images."
        )
    elif healthy:
        yield (
            f"{healthy} of {count} blocks are healthy: their gates differ between channels and "
            "between images."
        )
    elif not undecided:
        yield f"All {count} blocks are flagged." if count > 1 else "The one block is flagged."
    if undecided:
        plural = "" if undecided == 1 else "s"
        more = f"the gates of {undecided} more block{plural}" if healthy else "the other gates"
        which = "the gates" if undecided == count else more
        few = f"Add images: {ENOUGH} are enough for most blocks."
        near = "Their variance between images is near the limit: add images, or move the limit."
        yield (
            f"{_images(images).capitalize()} cannot show whether {which} depend on the image, only "
            f"that they differ between channels. {few if images < ENOUGH else near}"
        )


def _describe(block: BlockHealth, flag: str) -> str:
    function = block.site.function
    limits = block.limits
    unit = block.unit
    if flag == NO_NUMBER:
        return "its gates hold NaN or infinity, and so does everything after it"
    if flag == STUCK:
        return (
            f"{block.near_middle:.0%} of its gates are within {limits.middle * unit:.2g} of "
            f"{_middle(block):.2g}, the {function} of 0, so recalibration is weak{_moves(block)}"
        )
    if flag == CONSTANT:
        return (
            f"every channel gets nearly the same gate, {block.mean:.2f} on average, with a "
            f"standard deviation over channels of at most {block.over_channels:.2g}, so it scales "
            "all channels alike"
        )
    if flag == SATURATED:
        return (
            f"{block.near_high:.0%} of its gates are within {limits.end * unit:.2g} of "
            f"{block.site.high:.2g} and {block.near_low:.0%} of {block.site.low:.2g}, where "
            f"{function} hardly reacts to its input"
        )
    if flag == DEAD:
        where = "this image" if block.images == 1 else "every image"
        return f"{block.dead} of its {block.site.channels} channels are dead (zero in {where})"
    return (
        f"gates are {block.mean:.2f} on average and differ between channels (standard deviation up "
        f"to {block.over_channels:.2f}), but hardly between images ({_share(block)})"
    )


def _describe_unflagged(block: BlockHealth) -> str:
    words = (
        f"gates are {block.mean:.2f} on average and differ between channels (standard deviation up "
        f"to {block.over_channels:.2f})"
    )
    if block.fixed is False:
        return f"{words} and between images ({_share(block)})"
    share = f" ({_share(block)})" if block.image_share_low is not None else ""
    return f"{words}; {_images(block.images)} cannot show whether they depend on the image{share}"


def _moves(block: BlockHealth) -> str:
    """Say by how much gates near the middle differ, for small differences are not none."""
    over_images = (
        f" and {block.over_images:.2g} over images" if block.over_images is not None else ""
    )
    return f"; their standard deviation is {block.over_channels:.2g} over channels{over_images}"


def _share(block: BlockHealth) -> str:
    return (
        f"{block.image_share:.0%} of the variance, {LEVEL:.0%} interval "
        f"{block.image_share_low:.0%} to {block.image_share_high:.0%}"
    )


def _images(count: int) -> str:
    return f"{count} images" if count > 1 else "one image"


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
