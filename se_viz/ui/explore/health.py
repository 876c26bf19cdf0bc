"""The part of Explore that says whether gates do anything: over the gallery, with limits that can
be moved.
"""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from se_viz.engine.questions import Case, FindDead
from se_viz.errors import CheckpointError, SeVizError
from se_viz.experiments import Analysis, lend_records
from se_viz.gates.health import (
    CONSTANT,
    DEAD,
    FIXED,
    FLAGS,
    HEALTHY,
    NO_NUMBER,
    SATURATED,
    STUCK,
    UNDECIDED,
    BlockHealth,
    Limits,
    check_health,
    count_dead,
    tabulate_health,
)
from se_viz.gates.records import GateRecord
from se_viz.gates.variance import LEVEL
from se_viz.gates.verdicts import MEANINGS, describe_block, describe_network
from se_viz.ui.asking import Choices, answer_case
from se_viz.ui.frame import live_part
from se_viz.ui.navigation import link_guide
from se_viz.ui.session import keys, link_number, waiting
from se_viz.ui.widgets import get_gallery, get_lenders, link_block, open_block_of, show_rows
from se_viz.ui.words import as_markdown

_COLOURS = {
    NO_NUMBER: "red",
    STUCK: "red",
    CONSTANT: "red",
    SATURATED: "orange",
    DEAD: "orange",
    FIXED: "blue",
    UNDECIDED: "gray",
    HEALTHY: "green",
}
_LIMITS = {
    "constant": ("Constant: spread over channels at most", 0.2),
    "middle": ("Near the middle: distance from the middle at most", 0.2),
    "end": ("Saturated: distance from an end at most", 0.2),
    "most": ("Near the middle or saturated: share of the gates at least", 1.0),
    "dead": ("Dead channels: share of the channels more than", 1.0),
    "fixed": ("Same for every image: variance between images less than", 1.0),
}
"""What each slider says, and how far it goes."""
_SPREAD = "Standard deviation over channels, in the image where it is largest."
_BETWEEN = (
    "Share of the gates' variance that lies between images; the rest lies between channels and is "
    "the same in every image."
)
_INTERVAL = f"{LEVEL:.0%} interval of the share between images, over draws of as many images."
_DEAD = "Channels that are zero in every image of the gallery."


def show_health(choices: Choices, analysis: Analysis) -> None:
    """Say over all images of the gallery what the gates of each block do.

    To be called last on a page.

    A click on a block opens it; ``analysis`` is of the chosen image.
    """
    # The chosen file alone, where it was too large to be kept.
    gallery = get_gallery(choices) or [(choices, analysis)]
    sites = choices.network.inspection.sites
    records = [record for _, analysis in gallery for record in analysis.records]
    dead = count_dead(records, sites)
    if unclear := tuple(name for name, count in dead.items() if count is None):
        photos = {choice.image.digest: choice.seen for choice, _ in gallery}
        try:
            with waiting("Looking for dead channels…") as watch:
                case = Case(choices.name, choices.device)
                unclear_counts = answer_case(case, photos, FindDead(tuple(photos), unclear), watch)
        except SeVizError as problem:
            st.error(as_markdown(problem))
            return
        dead.update(unclear_counts)
    counts = {name: count for name, count in dead.items() if count is not None}
    lent = _lent_records(choices, {choice.image.digest for choice, _ in gallery})
    check = partial(check_health, [*records, *lent], sites, dead=counts)
    _show(analysis, open_block_of(analysis), check=check, gallery_size=len(gallery))


def _lent_records(choices: Choices, digests: set[str]) -> list[GateRecord]:
    """Return the gates of images that come with the network and are not in the gallery.

    Squeezes are not kept.
    """
    try:
        lenders = [lender for lender in get_lenders(choices) if lender.digest not in digests]
    except CheckpointError as problem:
        st.warning(
            as_markdown(f"{problem} Without it, the health of gates is judged over fewer images.")
        )
        return []
    return lend_records(lenders, choices.network.inspection.sites)


@live_part
def _show(
    analysis: Analysis,
    block_before: str,
    *,
    check: Callable[..., tuple[BlockHealth, ...]],
    gallery_size: int,
) -> None:
    if open_block_of(analysis) != block_before:
        # Clicked here: the page above has to follow.
        st.rerun()
    verdict = st.container()
    table, words = st.columns([2, 1], gap="medium")
    with words:
        meanings = st.container()
        with st.expander("Move the limits", icon=":material/tune:"):
            limits = _choose_limits()
    blocks = check(limits=limits)
    with verdict:
        _show_verdict(blocks, gallery_size)
    with table:
        _show_table(blocks)
        link_block(analysis)
    with meanings:
        _show_meanings(blocks)
    with st.expander("Every block in words"):
        st.markdown("\n".join(f"- {describe_block(block)}" for block in blocks))


def _choose_limits() -> Limits:
    defaults = Limits()
    values = {}
    for name, (label, most) in _LIMITS.items():
        value = getattr(defaults, name)
        link_number(f"{keys.LIMIT}-{name}", low=0.0, high=most, default=value)
        values[name] = st.slider(
            label, 0.0, most, value, 0.01, key=f"{keys.LIMIT}-{name}", persist_state="session"
        )
    st.caption(
        "Distances and spreads are shares of the gate function's range, which for a sigmoid is 1."
    )
    return Limits(**values)


def _show_verdict(blocks: Sequence[BlockHealth], gallery_size: int) -> None:
    flags = {flag for block in blocks for flag in block.flags}
    healthy = all(block.verdict == (HEALTHY,) for block in blocks)
    show = st.success if healthy else st.info if flags <= {SATURATED, DEAD, FIXED} else st.warning
    show(describe_network(blocks))
    st.caption(
        "Look for gates that differ between channels and between images: a mean of 0.65 alone is "
        f"no fault. Measured over {_describe_images(blocks[0].images, gallery_size)}.",
        help="See [Hu et al.](https://arxiv.org/abs/1709.01507), section 7.2.",
    )
    link_guide("healthy-gates")


def _show_table(blocks: Sequence[BlockHealth]) -> None:
    table = tabulate_health(blocks).filter(
        ["block", "mean", "over_channels", "image_share", "dead"]
    )
    table.insert(1, "flags", [list(block.verdict) for block in blocks])
    table["image_share"] *= 100
    table.insert(5, "interval", [_interval(block) for block in blocks])
    share = {"format": "%.0f %%", "min_value": 0, "max_value": 100}
    columns = {
        "flags": st.column_config.MultiselectColumn(
            "Verdict", options=list(_COLOURS), color=list(_COLOURS.values())
        ),
        "mean": st.column_config.NumberColumn("Mean", format="%.2f"),
        "over_channels": st.column_config.NumberColumn("Spread", format="%.2f", help=_SPREAD),
        "image_share": st.column_config.ProgressColumn("Between images", **share, help=_BETWEEN),
        "interval": st.column_config.TextColumn("Interval", width="small", help=_INTERVAL),
        "dead": st.column_config.NumberColumn("Dead", help=_DEAD),
    }
    height = "content" if len(blocks) <= 20 else 640
    names = [block.site.name for block in blocks]
    show_rows(
        table,
        names,
        key=keys.HEALTH,
        column="block",
        column_config=columns,
        height=height,
        placeholder="–",
        alt="Health by block",
    )
    st.caption("Look for blocks that are not healthy; click a name to open the block.")


def _describe_images(images: int, gallery_size: int) -> str:
    gallery = f"the {gallery_size} images of the gallery, the samples and your own"
    if images == gallery_size:
        return gallery
    return (
        f"{images} images: {images - gallery_size} validation images whose gates come with the "
        f"network, and {gallery}"
    )


def _interval(block: BlockHealth) -> str | None:
    if block.image_share_low is None or block.image_share_high is None:
        return None
    return f"{100 * block.image_share_low:.0f}–{100 * block.image_share_high:.0f} %"


def _show_meanings(blocks: Sequence[BlockHealth]) -> None:
    for flag in (*FLAGS, UNDECIDED):
        if count := sum(flag in block.verdict for block in blocks):
            st.markdown(
                f":{_COLOURS[flag]}-badge[{flag}] {count} of {len(blocks)} blocks. {MEANINGS[flag]}"
            )
