"""The parts of the page that changes gates: what to do, what is in force, and what the network
makes of it.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from se_viz.attribution.catalogue import COMMON, METHODS
from se_viz.charts import CLIPPED, Span, draw_answers, draw_reaction, gate_span
from se_viz.errors import SeVizError
from se_viz.experiments import Analysis, compare_answers
from se_viz.gates.surgery import (
    GateEdit,
    add_edit,
    compare_gates,
    describe_edit,
    describe_targets,
    level_gates,
    scale_gates,
    set_gates,
)
from se_viz.readings import KINDS
from se_viz.ui.asking import Choices, page_part
from se_viz.ui.frame import live_part
from se_viz.ui.glossary import explain
from se_viz.ui.navigation import link_guide
from se_viz.ui.session import keys, link_number, link_option, open_block
from se_viz.ui.surgery.channels import Change, Targets, choose_channels
from se_viz.ui.surgery.edits import (
    Edits,
    History,
    get_edited,
    get_edited_attribution,
    history_of,
    keep_history,
    rescale,
    scale_of,
    use_linked_edits,
)
from se_viz.ui.widgets import (
    choose_block,
    choose_class,
    current_palette,
    describe_answers,
    link_block,
    show_figure,
    show_pair,
)
from se_viz.ui.words import as_markdown

_MOST = 3.0
"""Largest factor that is offered."""
_TITLES = {key: METHODS[key].title for key in COMMON}
"""Methods that reach edited gates; at first one of a single pass, so that the maps follow every
edit."""


@live_part
def show_surgery(choices: Choices, before: Analysis) -> None:
    """Show the gates to change on the left, and on the right what the network makes of the edits
    in force.
    """
    use_linked_edits(choices)
    edits = history_of(choices.name).now
    desk, effect = st.columns(2, gap="large")
    try:
        after = get_edited(choices, edits) if edits else before
    except SeVizError as problem:
        st.error(as_markdown(problem))
        _show_edits(choices)
        return
    with effect:
        _show_answer(choices, before, after)
        _show_edits(choices)
    table = compare_gates(before.records, after.records)
    span = gate_span(choices.network.inspection.sites, table["gate"].to_numpy())
    with desk:
        _show_desk(choices, before, table, span)
    if edits:
        _show_reaction(table, span, edits)
        link_block(before)
        _show_maps(choices, before, edits)


def _show_answer(choices: Choices, before: Analysis, after: Analysis) -> None:
    names = choices.network.classes
    # On a phone it stays in sight above all controls (page.css).
    with st.container(key=keys.ANSWER):
        st.markdown(f"##### {describe_answers(choices.network, before, after)}")
    card = choices.network.card
    value = "" if card.shares else KINDS[card.answer].number
    figure = draw_answers(compare_answers(before, after, names), current_palette(), value=value)
    show_figure(figure, keys.ANSWERS, alt="The most probable classes before and after the edits")
    words = "Bars: after the edits; ticks: before."
    if card.shares and not card.independent:
        words += " Probabilities sum to 1, so check the logits to see which class actually changed."
    st.caption(
        words,
        help=explain(
            "logit",
            more="Classes from outside the original top five come last." if len(names) > 1 else "",
        ),
    )


def _show_edits(choices: Choices) -> None:
    history = history_of(choices.name)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Edits in force**", width="stretch")
        _show_step("Undo", "undo", choices.name, history.undo() if history.past else None)
        _show_step("Redo", "redo", choices.name, history.redo() if history.future else None)
        _show_step("Reset", "restart_alt", choices.name, history.go(()) if history.now else None)
    for index, edit in enumerate(history.now):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(
                f"{index + 1}. {describe_edit(edit, choices.network.inspection.sites)}",
                width="stretch",
            )
            st.button(
                "Remove",
                type="tertiary",
                icon=":material/close:",
                key=f"{keys.SURGERY_REMOVE}-{index}",
                on_click=keep_history,
                args=(choices.name, history.go(history.now[:index] + history.now[index + 1 :])),
            )
    st.caption(
        "Edits act in this order and stay when you choose another image."
        if history.now
        else "No edits yet: this is the network's own answer. Every edit runs the network again."
    )


def _show_step(label: str, icon: str, name: str, history: History | None) -> None:
    st.button(
        label,
        icon=f":material/{icon}:",
        key=f"{keys.SURGERY}-{label.lower()}",
        disabled=history is None,
        on_click=keep_history,
        args=(name, history),
    )


def _show_desk(choices: Choices, before: Analysis, table: pd.DataFrame, span: Span) -> None:
    change = partial(_change, choices.name)
    left, right = st.columns([2, 3])
    with left:
        name = choose_block(before, words=("block", "stage", "stride"))
    with right:
        _show_live_scale(choices, name.partition("#")[0])
    # All that is pressed stands above the figure, beside the answer that it changes.
    controls = st.container()
    picture = st.container()
    with controls:
        targets = choose_channels(name, table, span, change=change, picture=picture)
        _say_what_is_chosen(choices, targets)
        _show_buttons(targets, span, change)
    with picture:
        link_block(before)


def _show_live_scale(choices: Choices, block: str) -> None:
    # What it is now, whoever changed it: undo moves the handle too.
    factor = scale_of(history_of(choices.name).now, block)
    keys.SURGERY_LIVE.set(float(np.clip(factor, 0.0, _MOST)))
    st.slider(
        "All its gates times",
        0.0,
        _MOST,
        step=0.05,
        key=keys.SURGERY_LIVE.name,
        help=explain("gate", "channel"),
        on_change=_rescale,
        args=(choices.name, block),
    )


def _rescale(name: str, block: str) -> None:
    history = history_of(name)
    keep_history(name, history.go(rescale(history.now, block, keys.SURGERY_LIVE.get())))


def _show_buttons(targets: Targets, span: Span, change: Change) -> None:
    with st.container(horizontal=True):
        for label, key, make in (
            ("Set to 0", "zero", lambda: set_gates(targets, 0.0)),
            ("Set to 1", "one", lambda: set_gates(targets, 1.0)),
            ("Set to their mean", "mean", lambda: level_gates(targets)),
        ):
            _button(label, key, targets, lambda make=make: change(make()))
    link_number(keys.SURGERY_AMOUNT, low=0.0, high=_MOST, default=0.5)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        amount = st.slider(
            "Amount",
            0.0,
            _MOST,
            0.5,
            0.05,
            key=keys.SURGERY_AMOUNT,
            persist_state="session",
            width=120,
        )
        inside = span.low <= amount <= span.high
        _button(
            f"Set to {amount:g}",
            "value",
            targets if inside else {},
            lambda: change(set_gates(targets, amount)),
        )
        _button(
            f"Multiply by {amount:g}",
            "scale",
            targets,
            lambda: change(scale_gates(targets, amount)),
        )
    if not inside:
        st.caption(
            f"No gate of this network can exceed {span.high:g}: choose a smaller amount than "
            f"{amount:g}, or multiply."
        )


def _change(name: str, edit: GateEdit) -> None:
    history = history_of(name)
    keep_history(name, history.go(add_edit(history.now, edit)))


def _button(label: str, key: str, targets: Targets, act: Callable[[], None]) -> None:
    st.button(label, key=f"{keys.SURGERY}-{key}", disabled=not targets, on_click=act)


def _say_what_is_chosen(choices: Choices, targets: Targets) -> None:
    if not targets:
        st.info(
            "No gate is chosen. Drag a box over gates in the figure, click gates, name a range, or "
            "choose All."
        )
        return
    sites = choices.network.inspection.sites
    st.markdown(f"Chosen: **{describe_targets(tuple(targets.items()), sites)}**")
    if any(site.call and site.block in targets for site in sites):
        st.caption("A block here is used more than once in a pass; an edit changes every use.")


def _show_reaction(table: pd.DataFrame, span: Span, edits: Edits) -> None:
    blocks = {block for edit in edits for block in edit.blocks}
    edited = {name for name in table["path"].unique() if name.partition("#")[0] in blocks}
    first = int(table["path"].isin(list(edited)).argmax())
    st.subheader("How later gates react")
    link_guide("limits")
    if table["path"].iloc[-1] in edited and table["path"].iloc[first] == table["path"].iloc[-1]:
        st.caption(f"{table['block'].iloc[-1]} is the last block: no later gate can react.")
    figure = draw_reaction(
        table.iloc[first:], current_palette(), edited=edited, selected=keys.BLOCK.get()
    )
    show_figure(
        figure,
        keys.REACTION,
        alt="Change of every gate from the first edited block on",
        on_click=open_block,
    )
    reacting = not {*table["path"].iloc[first:]} <= edited
    st.caption(
        _describe_reaction(table, span),
        help=" ".join(_explain_reaction(table, first, reacting=reacting)),
    )


def _describe_reaction(table: pd.DataFrame, span: Span) -> str:
    palette = current_palette()
    words = (
        f"{palette.high_name.capitalize()}: gate increased; {palette.low_name}: decreased; ✎ marks "
        "edited gates."
    )
    if beyond := int((~table["after"].between(span.low, span.high)).sum()):
        return (
            f"{words} {beyond} gates now lie outside {span.low:g} to {span.high:g}, where no image "
            "would put them."
        )
    return words


def _explain_reaction(table: pd.DataFrame, first: int, *, reacting: bool) -> Iterator[str]:
    yield "Gates after the edits minus gates before, channels in their order."
    if reacting:
        yield (
            "The scale, symmetric about 0, is set by the unedited rows, which react to the changed "
            f"input. {CLIPPED}"
        )
    else:
        yield f"The scale is symmetric about 0. {CLIPPED}"
    if first:
        blocks = table["block"].iloc[:first].unique()
        yield (
            f"Not shown: {blocks[0]} to {blocks[-1]}, which come before the first edit and do not "
            "change."
        )


# No fragment of its own: of one inside another Streamlit still sends what belongs to a run that was
# cut short.
@page_part
def _show_maps(choices: Choices, before: Analysis, edits: Edits) -> None:
    st.subheader("Where the answer comes from")
    link_guide("attribution")
    target, method = _choose_map(choices, before)
    old, new = (
        get_edited_attribution(choices, version, target=target, method=method)
        for version in ((), edits)
    )
    pair = {
        keys.MAP_BEFORE: ("**Before**", old.map.numpy()),
        keys.MAP_AFTER: ("**After**", new.map.numpy()),
    }
    title = "against ← 0 → for" if old.signed else "none → strongest"
    show_pair(choices.photo, pair, signed=old.signed, title=title)
    row = METHODS[method]
    words = row.tell(dict(old.options), shape=choices.network.card.shape)
    st.caption(f"{words} Both maps share one scale.", help=f"{CLIPPED} ({row.source})")


def _choose_map(choices: Choices, before: Analysis) -> tuple[int, str]:
    methods = list(_TITLES)
    left, right = st.columns(2)
    link_option(keys.SURGERY_METHOD, methods, "grad_cam")
    method = left.selectbox(
        "Method",
        methods,
        methods.index("grad_cam"),
        format_func=_TITLES.__getitem__,
        key=keys.SURGERY_METHOD,
        persist_state="session",
    )
    with right:
        return choose_class(choices, before), method
