"""The first half of the page *Does it matter?*: live gates replaced, and what that does to the
answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import streamlit as st

from se_viz.charts import draw_counterfactuals
from se_viz.engine import Seen
from se_viz.engine.questions import LendingImage, ReplaceGates
from se_viz.errors import CheckpointError
from se_viz.experiments import (
    KINDS,
    REPEATS,
    SCOPES,
    THRESHOLDS,
    THRESHOLDS_OF_VALUES,
    UNITS,
    UNITS_OF_VALUES,
    Analysis,
    Counterfactual,
    describe_kind,
    describe_verdict,
    judge,
    summarise_counterfactuals,
    tabulate_counterfactuals,
)
from se_viz.readings import KINDS as ANSWERS
from se_viz.ui.asking import Choices, answer, case_of, page_part, progress
from se_viz.ui.glossary import explain
from se_viz.ui.session import ChosenImage, keys, link_option, open_block
from se_viz.ui.widgets import (
    choose_option,
    current_palette,
    get_gallery,
    get_lenders,
    link_block,
    show_figure,
    show_rows,
)
from se_viz.ui.words import as_markdown, plain

EXPLAINED = {
    "mean": "Every gate is its mean over the {count} other images, whatever the image. A network "
    "trained with fixed "
    "gates would have learned other values.",
    "other": "The image gets the gates of each of {count} other images in turn. Points are medians "
    "over these lenders; "
    "*from* and *to* enclose the middle half.",
    "shuffle": "The image's own gates are shuffled among the channels of their block, {repeats} "
    "times: as many "
    "channels are turned down, but other channels. Points are medians; *from* and *to* enclose "
    "the middle half.",
    "ones": "Every gate is 1, as if there were no SE block. No image has such gates, so later "
    "layers get inputs unlike "
    "their training inputs: a change here does not prove that gates matter.",
}
"""What each kind does, for a caption."""

BUNDLED = {"network": 60, "stage": 30, "block": 30}
"""Of the images whose gates come with a network, how many lend: each place costs a pass for each
of them."""

_EVERYBODY = -1
_LENT = ("mean", "other")
"""Kinds of gates that come from other images."""

Results: TypeAlias = dict[str, tuple[Counterfactual, ...]]
"""What was found, by kind."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What the controls of this half say."""

    kind: str
    """One of ``KINDS``."""
    scope: str
    """One of ``SCOPES``."""
    groups: tuple[tuple[LendingImage, ...], ...]
    """Images that lend their gates: those that come with the network, and all others of the
    gallery."""
    lender: int
    """Which of the gallery is looked at alone; below 0 all are."""
    photos: Mapping[str, Seen]
    """The squares of the gallery that the network sees, by digest."""

    @property
    def lenders(self) -> tuple[LendingImage, ...]:
        """Return all images that lend their gates."""
        return tuple(lender for group in self.groups for lender in group)


def choose_counterfactual(choices: Choices) -> Selection:
    """Offer what replaces the live gates, where, and whose gates are looked at alone."""
    # Not columns, which cut the rows of options where they are narrow.
    with st.container(horizontal=True, gap="medium"):
        # At first the kind that the verdict is by.
        kind = choose_option(
            "Replace the live gates by",
            KINDS,
            key=keys.COUNTERFACTUAL,
            default="other",
            help=explain("gate"),
        )
        scope = choose_option(
            "In", SCOPES, key=keys.SCOPE, help=explain("stage", "stride", "block")
        )
        gallery = {member.image: member.seen for member, _ in get_gallery(choices)}
        groups = _gather_lenders(choices, scope, [*gallery])
        names = {
            _EVERYBODY: "All",
            **{place: lender.name for place, lender in enumerate(groups[-1])},
        }
        link_option(keys.LENDER, names, _EVERYBODY)
        lender = st.selectbox(
            "Show the gates of",
            list(names),
            format_func=names.__getitem__,
            key=keys.LENDER,
            persist_state="session",
            width=220,
            disabled=kind != "other",
        )
    photos = {image.digest: photo for image, photo in gallery.items()}
    alone = lender if kind == "other" and lender is not None else _EVERYBODY
    return Selection(kind, scope, groups, alone, photos)


def _gather_lenders(
    choices: Choices, scope: str, gallery: Sequence[ChosenImage]
) -> tuple[tuple[LendingImage, ...], ...]:
    try:
        lenders = get_lenders(choices)[: BUNDLED[scope]]
    except CheckpointError as error:
        st.warning(as_markdown(f"{error} Without it, fewer images lend their gates."))
        lenders = ()
    bundled = [LendingImage(lender.name, lender.digest) for lender in lenders]
    images = [*bundled, *(LendingImage(image.name, image.digest) for image in gallery)]
    images_by_digest = {
        image.digest: image for image in images if image.digest != choices.image.digest
    }
    digests = {image.digest for image in bundled}
    return tuple(
        tuple(
            image for image in images_by_digest.values() if (image.digest in digests) == is_bundled
        )
        for is_bundled in (True, False)
    )


@page_part
def show_counterfactuals(choices: Choices, analysis: Analysis, selection: Selection) -> None:
    """Show the verdict in words, the answer over depth, and the numbers."""
    if not selection.lenders and selection.kind in _LENT:
        st.info(
            f"Other gates come from other files, and this {choices.noun} is the only one: choose a "
            f"second one in the sidebar, or replace gates by *{KINDS['ones']}* or "
            f"*{KINDS['shuffle']}*."
        )
        return
    lent = _LENT if selection.lenders else ()
    kinds = dict.fromkeys([*lent, "ones", selection.kind])
    # One container, so that what was there before holds its place meanwhile.
    with st.container():
        results = {kind: _ask(choices, selection, kind=kind) for kind in kinds}
    verdict = describe_verdict(judge(results["other"])) if lent else ""
    if selection.lender >= 0:
        results["other"] = _only(results["other"], selection.groups[-1][selection.lender])
    _say_what_it_does(choices, results[selection.kind], selection, verdict)
    plot, numbers = st.columns([11, 10], gap="medium")
    with plot:
        _show_depth(choices, results, selection)
    with numbers:
        st.caption(EXPLAINED[selection.kind].format(count=len(selection.lenders), repeats=REPEATS))
        _show_table(choices, results, selection)
        link_block(analysis)
    with st.expander("How the verdict is reached"):
        st.markdown(THRESHOLDS if choices.network.card.shares else THRESHOLDS_OF_VALUES)


def _say_what_it_does(
    choices: Choices,
    results: tuple[Counterfactual, ...],
    selection: Selection,
    verdict: str,
) -> None:
    """Say first what the chosen replacement does; the verdict is by all other images' gates."""
    units = _units(choices)
    judgement, _, counts = verdict.partition(":")
    if selection.kind == "other" and selection.lender < 0:
        st.markdown(f"**{judgement}:** {plain(counts)}", help=units)
        return
    words, reasons = describe_kind(results, choices.network.classes)
    st.markdown(f"**{plain(words)}:** {plain(reasons)}", help=units)
    if verdict:
        st.markdown(f"By all other images' gates: {judgement}.")


def _units(choices: Choices) -> str:
    return UNITS if choices.network.card.shares else UNITS_OF_VALUES


def _name_value(choices: Choices) -> str:
    """Return what a number of the answer is called; nothing for probabilities."""
    card = choices.network.card
    return "" if card.shares else ANSWERS[card.answer].number


def _only(results: tuple[Counterfactual, ...], lender: LendingImage) -> tuple[Counterfactual, ...]:
    return tuple(result for result in results if result.lender == lender.name)


def _show_depth(choices: Choices, results: Results, selection: Selection) -> None:
    rows = [result for kind in results for result in results[kind]]
    table = tabulate_counterfactuals(rows, choices.network.classes)
    click = open_block if selection.scope == "block" else None
    figure = draw_counterfactuals(
        summarise_counterfactuals(table),
        current_palette(),
        kind=selection.kind,
        dots=table if selection.lender < 0 else None,
        value=_name_value(choices),
    )
    show_figure(
        figure,
        keys.DEPTH,
        alt="Change of the answer for each place whose gates are replaced",
        on_click=click,
    )
    later = (
        "" if selection.scope == "network" else " The gates of later blocks react to the change."
    )
    flips = " Hollow marks: the label flipped." if choices.network.card.shares else ""
    opens = " Click a mark to open its block." if click else ""
    st.caption(
        "Look for places where the chosen replacement leaves 0, and for the spread over lenders."
        + flips,
        help="Each dot is a lender, marks are medians, bars enclose the middle "
        f"half.{later}{opens} {_units(choices)}",
    )


_OF_VALUES = {
    "change": st.column_config.NumberColumn(
        "Change", width=74, format="%+.3g", help=UNITS_OF_VALUES
    ),
    "change_low": st.column_config.NumberColumn("from", width=64, format="%+.3g"),
    "change_high": st.column_config.NumberColumn("to", width=64, format="%+.3g"),
    "divergence": st.column_config.NumberColumn(
        "Of its size", width=82, format="percent", help=UNITS_OF_VALUES
    ),
}
_COLUMNS = {
    "kind": st.column_config.TextColumn("Gates", pinned=True, width=100),
    "place": st.column_config.TextColumn("Replaced", pinned=True),
    "change": st.column_config.NumberColumn("Points", width=62, format="%+.1f", help=UNITS),
    "change_low": st.column_config.NumberColumn("from", width=56, format="%+.1f"),
    "change_high": st.column_config.NumberColumn("to", width=56, format="%+.1f"),
    "divergence": st.column_config.NumberColumn("KL (nats)", width=74, format="%.4f", help=UNITS),
    "label": st.column_config.TextColumn("Label", width=124),
}


def _show_table(choices: Choices, results: Results, selection: Selection) -> None:
    # One place alone has room for all kinds.
    kinds = [*results] if selection.scope == "network" else [selection.kind]
    rows = [result for kind in kinds for result in results[kind]]
    summary = summarise_counterfactuals(tabulate_counterfactuals(rows, choices.network.classes))
    several = bool((summary["count"] > 1).any())
    summary["label"] = [
        _label(results[kind], place, choices)
        for kind, place in zip(summary["kind"], summary["place"], strict=True)
    ]
    summary["kind"] = [KINDS[kind] for kind in summary["kind"]]
    shares = choices.network.card.shares
    changes = ["change", "change_low", "change_high"]
    if shares:
        summary[changes] = (100 * summary[changes]).round(3) + 0.0
    spread = ["change_low", "change_high"] * several
    # The label where it is seen without scrolling.
    columns = [
        "kind" if selection.scope == "network" else "place",
        "change",
        *["label"] * shares,
        *spread,
        "divergence",
    ]
    key = f"{keys.REPLACED_PLACES}-{selection.kind}-{selection.scope}"
    show_rows(
        summary.filter(columns),
        summary["path"].tolist(),
        key=key,
        column="place",
        column_config=_COLUMNS if shares else _COLUMNS | _OF_VALUES,
        height="content" if len(summary) <= 17 else 640,
        alt="Change of probability, KL divergence and label",
    )


def _label(results: tuple[Counterfactual, ...], place: str, choices: Choices) -> str:
    matches = [result for result in results if result.place.label == place]
    flips = [result for result in matches if not result.kept]
    if not flips:
        return "kept"
    if len(matches) == 1:
        return f"→ {flips[0].name_answer(choices.network.classes)}"
    return f"{len(flips)} of {len(matches)} flip"


def _ask(choices: Choices, selection: Selection, *, kind: str) -> tuple[Counterfactual, ...]:
    if kind == "other":
        groups = {f"other-{place}": group for place, group in enumerate(selection.groups) if group}
    else:
        groups = {kind: selection.lenders if kind == "mean" else ()}
    return tuple(
        counterfactual
        for part, group in groups.items()
        for counterfactual in _ask_once(
            choices, selection, ReplaceGates(kind, selection.scope, group), part=part
        )
    )


def _ask_once(
    choices: Choices, selection: Selection, question: ReplaceGates, *, part: str
) -> tuple[Counterfactual, ...]:
    key = f"{keys.COUNTERFACTUALS}-{part}"
    work = (case_of(choices), question)
    with progress("Replacing gates…", key=key, work=work) as (watch, report):
        return answer(choices, question, watch, report, gallery=selection.photos)
