"""One attribution method for both networks on one scale, and below it what differs in words."""

from functools import partial

import streamlit as st

from se_viz.attribution.catalogue import COMMON, METHODS
from se_viz.attribution.question import Attribution, Target, stage_ends
from se_viz.charts import CLIPPED, draw_overlay, fit_span, widest
from se_viz.errors import SeVizError
from se_viz.ui.asking import ask_with_bar, attempt, page_part
from se_viz.ui.frame import live_part
from se_viz.ui.glossary import explain
from se_viz.ui.navigation import link_guide
from se_viz.ui.session import keys, link_option
from se_viz.ui.two_networks.differences import show_differences
from se_viz.ui.two_networks.members import Member, match_members
from se_viz.ui.widgets import (
    Request,
    choose_class,
    choose_option,
    current_palette,
    get_pace,
    say_seconds,
    show_figure,
)
from se_viz.ui.words import as_markdown, plain

_EXPLAINED = {"own": "own answers", "one": "one class"}
_SCALES = {"shared": "one for both", "own": "each its own"}


@live_part
@page_part
def show_maps(first: Member, second: Member) -> None:
    """Show one method for both networks over what each of them sees, and what differs in words."""
    st.header("Where did both look?", anchor=False, divider="gray")
    matches = match_members(first, second)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        method = _choose_method(first, second)
        targets = _choose_targets(first, second, matches)
        scale = choose_option("Colour scale", _SCALES, key=keys.PAIR_SCALE)
    results = []
    for member, target, key in zip(
        (first, second), targets, (keys.PAIR_FIRST, keys.PAIR_SECOND), strict=True
    ):
        question = Request(method).about(target)
        text = f"Computing the map of {member.name}…"
        ask = partial(ask_with_bar, member.choices, question, text, key=key)
        results.append(attempt(ask))
    _draw((first, second), targets, results, shared=scale == "shared")
    st.header("What differs", anchor=False, divider="gray")
    maps = [result for result in results if isinstance(result, Attribution)]
    show_differences(first, second, matches, maps)


def _choose_method(first: Member, second: Member) -> str:
    staged = all(stage_ends(member.choices.network.inspection.sites) for member in (first, second))
    # Where no module ends a stage, Grad-CAM has nothing to look at.
    methods = [method for method in COMMON if staged or not METHODS[method].staged]
    times = dict.fromkeys(methods, 0.0)
    for member in (first, second):
        pace, shape = get_pace(member.choices), member.choices.network.card.shape
        for method in methods:
            times[method] += pace.estimate(METHODS[method], {}, shape=shape)
    link_option(keys.PAIR_METHOD, methods, methods[0])
    if keys.value_of(keys.PAIR_METHOD) not in methods:
        keys.set_value(keys.PAIR_METHOD, methods[0])
    return st.selectbox(
        "Method",
        methods,
        format_func=lambda method: f"{METHODS[method].title} · {say_seconds(times[method])}",
        key=keys.PAIR_METHOD,
        help=None
        if staged
        else "Grad-CAM looks at the end of a stage. Stages are told by SE blocks, and a network "
        "without any has none.",
        persist_state="session",
        width=280,
    )


def _choose_targets(
    first: Member, second: Member, matches: dict[int, int]
) -> tuple[Target, Target]:
    own = tuple(Target(member.analysis.top(1)[0][0]) for member in (first, second))
    if len(matches) < 2:
        return own[0], own[1]
    explained = choose_option(
        "Explain",
        _EXPLAINED,
        key=keys.PAIR_EXPLAINED,
        help="Each network's own answer, or one class for both, which both know.",
    )
    if explained == "own":
        return own[0], own[1]
    with st.container(width=220):
        index = choose_class(first.choices, first.analysis, among=matches)
    return Target(index), Target(matches[index])


def _draw(
    members: tuple[Member, Member],
    targets: tuple[Target, Target],
    results: list[Attribution | SeVizError],
    *,
    shared: bool,
) -> None:
    maps = [result for result in results if isinstance(result, Attribution)]
    signed = any(result.signed for result in maps)
    spans = [fit_span(result.map.numpy(), signed=signed) for result in maps]
    columns = st.columns(2, gap="large")
    for place, member, target, result, key in zip(
        columns, members, targets, results, (keys.PAIR_FIRST, keys.PAIR_SECOND), strict=True
    ):
        with place:
            name = member.choices.network.classes[target.index]
            logit = member.analysis.logits[target.index].item()
            st.markdown(f"**{member.title}**  \n{plain(name)}, logit {logit:+.1f}")
            if isinstance(result, SeVizError):
                st.info(as_markdown(result))
                continue
            figure = draw_overlay(
                member.choices.photo,
                result.map.numpy(),
                current_palette(),
                span=widest(spans) if shared else fit_span(result.map.numpy(), signed=signed),
                opacity=0.8,
                title="against ← 0 → for" if signed else "none → strongest",
                frame=member.choices.at.region,
            )
            show_figure(figure, key, alt=f"A map of {name} by {member.name} over the input")
    if maps:
        _caption(maps[0].method, shared=shared)


def _caption(method: str, *, shared: bool) -> None:
    row = METHODS[method]
    scale = (
        "Both maps share one scale, so that the paler map has smaller values."
        if shared
        else "Each map has its own scale: compare where, not how much."
    )
    st.caption(
        f"{scale} Look for places that only one of them marks.",
        help=explain("attribution", "logit", more=f"{row.looks_for} {CLIPPED} ({row.source})"),
    )
    link_guide("attribution")
