"""The first half of the page *Does it matter?*: live gates replaced, and what that does to the answer."""

from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import streamlit as st

from se_viz.analysis import Analysis
from se_viz.charts.counterfactuals import draw_counterfactuals
from se_viz.counterfactuals import (
    KINDS,
    REPEATS,
    SCOPES,
    Counterfactual,
    Gates,
    Question,
    gates_of,
    mean_gates,
    run_counterfactuals,
    summarise_counterfactuals,
    tabulate_counterfactuals,
)
from se_viz.ui.cases import Case, Work, case_of
from se_viz.ui.choices import Choices, current_palette
from se_viz.ui.figures import show_figure
from se_viz.ui.gallery import get_gallery
from se_viz.ui.links import link_block, show_rows
from se_viz.ui.loaded import borrow_network
from se_viz.ui.pickers import choose_option
from se_viz.ui.progress import progress
from se_viz.ui.state import open_block
from se_viz.ui.words import plain
from se_viz.verdicts import THRESHOLDS, describe, judge

EXPLAINED = {
    "mean": "Every image gets the mean gates of the gallery's {count} other images: channels are still scaled, but "
    "the scale does not answer to the image.",
    "other": "The image gets the gates that another image opened.",
    "shuffle": "The image's own gates change places among the channels of their block, at random, {repeats} times: as "
    "many channels are turned down, but not the same. Bars show one standard deviation.",
    "ones": "Every gate is 1, as if there were no SE block. The network was not trained for that.",
}
"""What each kind does, for a caption."""


Found: TypeAlias = dict[str, tuple[Counterfactual, ...]]
"""What was found, by kind."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the controls of this half say."""

    kind: str
    """One of ``KINDS``."""
    scope: str
    """One of ``SCOPES``."""
    gallery: list[tuple[Choices, Analysis]]
    """Every other image, analysed."""
    other: int
    """Which of them lends its gates."""


def choose_counterfactual(choices: Choices) -> Chosen:
    """Offer what replaces the live gates, where, and whose gates *another image's* are."""
    first, second, third = st.columns([9, 7, 5])
    with first:
        kind = choose_option("Replace the live gates by", KINDS, key="counterfactual")
    with second:
        scope = choose_option("In", SCOPES, key="scope")
    gallery = [pair for pair in get_gallery(choices) if pair[0].image.digest != choices.image.digest]
    names = [lender.image.name for lender, _ in gallery]
    with third:
        other = st.selectbox(
            "Other image",
            range(len(names)),
            format_func=names.__getitem__,
            key="other",
            persist_state="session",
        )
    return Chosen(kind, scope, gallery, other or 0)


def show_counterfactuals(choices: Choices, analysis: Analysis, chosen: Chosen) -> None:
    """Show the verdict in words, the answer over depth, and the numbers."""
    if st.session_state.get("stopped") == _token(choices, chosen):
        st.info("Stopped. Choose something else above, or go on.")
        st.button("Go on", on_click=_note_stop, args=(None,))
        return
    kinds = dict.fromkeys(["mean", "other", "ones", chosen.kind])
    # One container, so that what was there before holds its place meanwhile.
    with st.container():
        found = {kind: _ask(choices, analysis, chosen, kind=kind) for kind in kinds}
    sources = {"mean": "static gates", "other": f"the gates of {chosen.gallery[chosen.other][0].image.name}"}
    verdict = judge([*found["mean"], *found["other"]])
    words, reasons = describe(verdict, found["ones"], choices.network.classes, sources=sources).split(":", 1)
    st.markdown(f"**{words}:**{plain(reasons)}")
    plot, numbers = st.columns([3, 2], gap="medium")
    with plot:
        _show_depth(choices, found, chosen)
    with numbers:
        st.caption(EXPLAINED[chosen.kind].format(count=len(chosen.gallery), repeats=REPEATS))
        _show_table(choices, found, chosen)
        link_block(analysis)
    st.caption(THRESHOLDS)


def _show_depth(choices: Choices, found: Found, chosen: Chosen) -> None:
    rows = [one for kind in found for one in found[kind]]
    summary = summarise_counterfactuals(tabulate_counterfactuals(rows, choices.network.classes))
    click = open_block if chosen.scope == "block" else None
    figure = draw_counterfactuals(summary, current_palette(), kind=chosen.kind)
    show_figure(figure, "depth", alt="Change of the answer for each place whose gates are replaced", on_click=click)
    st.caption(
        "Look for where the chosen kind leaves 0, and whether static gates do too. Hollow: the label flipped. "
        "Replaced gates are fixed; the gates of later blocks are live, and react. A click opens a block."
    )


def _show_table(choices: Choices, found: Found, chosen: Chosen) -> None:
    # One place alone has room for all kinds.
    kinds = [*found] if chosen.scope == "network" else [chosen.kind]
    rows = [one for kind in kinds for one in found[kind]]
    summary = summarise_counterfactuals(tabulate_counterfactuals(rows, choices.network.classes))
    several = bool((summary["count"] > 1).any())
    summary["label"] = [
        _label(found[kind], place, choices) for kind, place in zip(summary["kind"], summary["place"], strict=True)
    ]
    summary["kind"] = [KINDS[kind] for kind in summary["kind"]]
    summary[["change", "change_std"]] *= 100
    columns = ["kind" if chosen.scope == "network" else "place", "change", *(["change_std"] * several), "divergence"]
    config = {
        "kind": st.column_config.TextColumn("Gates", pinned=True),
        "place": st.column_config.TextColumn("Replaced", pinned=True),
        "change": st.column_config.NumberColumn("Points", width="small", format="%+.1f"),
        "change_std": st.column_config.NumberColumn("± std", width="small", format="%.1f"),
        "divergence": st.column_config.NumberColumn("KL (nats)", width="small", format="%.4f"),
        "label": st.column_config.TextColumn("Label"),
    }
    height, alt = "content" if len(summary) <= 17 else 640, "Change of probability, KL divergence and label"
    shown, key = summary.filter([*columns, "label"]), f"places-{chosen.kind}-{chosen.scope}"
    show_rows(shown, summary["path"].tolist(), key=key, column_config=config, height=height, alt=alt)


def _label(found: tuple[Counterfactual, ...], place: str, choices: Choices) -> str:
    here = [one for one in found if one.place.label == place]
    flipped = [one for one in here if not one.kept]
    if not flipped:
        return "kept"
    if len(here) == 1:
        return f"→ {choices.network.classes[flipped[0].answer]}"
    return f"{len(flipped)} of {len(here)} flip"


def _token(choices: Choices, chosen: Chosen) -> tuple[Case, str, str]:
    return case_of(choices), chosen.kind, chosen.scope


def _note_stop(token: tuple[Case, str, str] | None) -> None:
    st.session_state.stopped = token


def _ask(choices: Choices, analysis: Analysis, chosen: Chosen, *, kind: str) -> tuple[Counterfactual, ...]:
    lent = {"mean": chosen.gallery, "other": [chosen.gallery[chosen.other]]}.get(kind)
    lenders = tuple(lender.image.digest for lender, _ in lent or ())
    gates = gates_of(analysis) if lent is None else mean_gates([gates_of(seen) for _, seen in lent])
    stop = partial(_note_stop, _token(choices, chosen))
    with progress("Replacing gates…", key=f"counterfactuals-{kind}", stop=stop) as (watch, report):
        work = Work(choices.photo, watch, report)
        return _counterfactuals(case_of(choices), (Question(kind, chosen.scope), lenders), _gates=gates, _work=work)


@st.cache_data(max_entries=256, max_size="32MB", show_spinner=False)
def _counterfactuals(
    case: Case, asked: tuple[Question, tuple[str, ...]], *, _gates: Gates, _work: Work
) -> tuple[Counterfactual, ...]:
    question, _ = asked
    with borrow_network(case.network, case.device) as network:
        return run_counterfactuals(
            network, _work.photo, question, _gates, whole=True, watch=_work.watch, report=_work.report
        )
