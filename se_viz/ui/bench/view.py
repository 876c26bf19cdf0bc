"""The page's parts in their order: the network, the choices, the answer, the gates."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from se_viz.charts import CLIPPED, draw_answers, draw_choice, draw_reaction, gate_span
from se_viz.engine.questions import Redesign
from se_viz.errors import SeVizError
from se_viz.experiments import Analysis, BlockSize, Redesigned, compare_answers
from se_viz.gates.designs import Design
from se_viz.gates.records import GateSite
from se_viz.gates.surgery import compare_gates
from se_viz.gates.tables import label_blocks
from se_viz.readings import KINDS
from se_viz.ui.asking import Choices, ask
from se_viz.ui.bench.controls import choose_design, find_rows
from se_viz.ui.bench.network_map import show_network_map
from se_viz.ui.bench.paper import show_paper
from se_viz.ui.frame import live_part
from se_viz.ui.glossary import explain
from se_viz.ui.session import keys, open_block
from se_viz.ui.widgets import (
    choose_option,
    current_palette,
    describe_answers,
    link_block,
    open_block_of,
    show_figure,
)
from se_viz.ui.words import as_markdown

_ORDERS = {"gate": "gate", "channel": "index"}


@live_part
def show_bench(choices: Choices, before: Analysis) -> None:
    """Show the whole network, the choices of a design, and what the network makes of it."""
    picture = st.container()
    desk, effect, paper = st.columns([10, 11, 9], gap="medium")
    with desk:
        design = choose_design(choices, before)
    with paper:
        show_paper(find_rows(design, _opened(choices, before)))
    with effect:
        changed = _ask(choices, design)
    _show_map(choices, before, design, changed, picture)
    if changed is None:
        return
    with effect:
        _show_answer(choices, before, changed)
        _show_sizes(changed.sizes)
    with desk:
        _show_refused(choices, design, changed)
    _show_gates(choices, before, changed)


def _opened(choices: Choices, before: Analysis) -> GateSite:
    name = open_block_of(before)
    return next(site for site in choices.network.inspection.sites if site.name == name)


def _show_map(
    choices: Choices,
    before: Analysis,
    design: Design,
    changed: Redesigned | None,
    picture: DeltaGenerator,
) -> None:
    sites = choices.network.inspection.sites
    bypassed = {site.block for site in sites if design.stage not in (None, site.stage)}
    refused = {block for block, _ in changed.refused} if changed else set()
    chosen = {*design.blocks} - bypassed - refused
    with picture:
        show_network_map(choices, chosen=chosen, bypassed=bypassed, opened=open_block_of(before))
        st.caption(
            "Boxes are units with an SE block and its channels; higher boxes have larger maps. "
            "Filled ones are designed below; a click opens one.",
            help="Units without an SE block are not drawn. Dashed boxes have all gates 1 by the "
            "choice of stages.\n\n" + explain("stage", "channel"),
        )


def _ask(choices: Choices, design: Design) -> Redesigned | None:
    try:
        return ask(choices, Redesign(design), "Running the redesigned network…")
    except SeVizError as problem:
        st.error(as_markdown(problem))
        return None


def _show_answer(choices: Choices, before: Analysis, changed: Redesigned) -> None:
    card = choices.network.card
    # What comes from a cache is a copy.
    after = changed.analysis if _moves(before, changed.analysis) else before
    st.markdown(f"##### {describe_answers(choices.network, before, after)}")
    st.markdown(f":primary-badge[not retrained] {_describe_distance(choices, changed)}")
    value = "" if card.shares else KINDS[card.answer].number
    table = compare_answers(before, after, choices.network.classes)
    figure = draw_answers(table, current_palette(), value=value)
    show_figure(
        figure, keys.BENCH_ANSWERS, alt="The most probable classes before and after the design"
    )
    st.caption("Bars: by the design; ticks: the network's own.", help=explain("logit"))


def _moves(before: Analysis, after: Analysis) -> bool:
    return any(
        bool((now.gate != own.gate).any())
        for now, own in zip(after.records, before.records, strict=True)
    )


def _describe_distance(choices: Choices, changed: Redesigned) -> str:
    if changed.divergence == 0:
        return "The network's own answer: no gate has changed."
    if choices.network.card.shares:
        return f"KL from its own answer: **{changed.divergence:.3g} nats**"
    return f"All numbers moved by **{changed.divergence:.1%}** of their size"


def _show_sizes(sizes: Sequence[BlockSize]) -> None:
    if not sizes:
        return
    what = f"These {len(sizes)} blocks" if len(sizes) > 1 else "This block"
    lines = [f"| {what} | Own | Design |", "| :-- | --: | --: |"]
    parameters = [size.parameters for size in sizes]
    lines.append(_count("Parameters", parameters))
    products = [size.products for size in sizes]
    if known := [(own, new) for own, new in products if own is not None and new is not None]:
        lines.append(_count("Multiply-adds", known))
    st.markdown("\n".join(lines))
    st.caption(
        "Size and work of these blocks for one input, as the page *Networks* counts them.",
        help="Multiply-adds of the two layers: means and products with gates are left out.",
    )


def _count(name: str, pairs: Sequence[tuple[int, int]]) -> str:
    own, new = (sum(pair[place] for pair in pairs) for place in (0, 1))
    return (
        f"| {name} | {own:,} | {new:,} |" if own == new else f"| {name} | {own:,} | **{new:,}** |"
    )


def _show_refused(choices: Choices, design: Design, changed: Redesigned) -> None:
    if not changed.refused or not design.changes_excitation:
        return
    labels = label_blocks(choices.network.inspection.sites)
    block, words = changed.refused[0]
    count = len(changed.refused)
    others = f" So do {count - 1} more." if count > 1 else ""
    st.info(as_markdown(f"{labels.get(block, block)} stays as it is.{others} {words}"))


def _show_gates(choices: Choices, before: Analysis, changed: Redesigned) -> None:
    table = compare_gates(before.records, changed.analysis.records)
    span = gate_span(choices.network.inspection.sites, table["gate"].to_numpy())
    name = open_block_of(before)
    st.subheader(f"Gates of {label_blocks(before.records)[name]}, before and after")
    order = choose_option("Sort by", _ORDERS, key=keys.BENCH_ORDER)
    rows = table.loc[table["path"] == name]
    figure = draw_choice(
        rows, current_palette(), order=order, selection=rows["channel"].to_numpy()[:0], span=span
    )
    show_figure(figure, keys.BENCH_GATES, alt="Gates of the open block by the design")
    st.caption(
        "Each point is a gate by the design; a stem leads from where the network has it.",
        help="Where nothing squeezes, a gate is the mean over all places.",
    )
    link_block(before)
    if (table["after"] != table["gate"]).to_numpy().any():
        _show_reaction(table, {size.block for size in changed.sizes})


def _show_reaction(table: pd.DataFrame, designed: set[str]) -> None:
    palette = current_palette()
    first = int((table["after"] != table["gate"]).to_numpy().argmax())
    first = int((table["path"] == table["path"].iloc[first]).to_numpy().argmax())
    edited = {name for name in table["path"].unique() if name.partition("#")[0] in designed}
    st.subheader("All gates, by the design less the network's own")
    figure = draw_reaction(table.iloc[first:], palette, edited=edited, selected=keys.BLOCK.get())
    show_figure(
        figure,
        keys.BENCH_REACTION,
        alt="Change of every gate from the first designed block on",
        on_click=open_block,
    )
    st.caption(
        f"{palette.high_name.capitalize()}: gate increased; {palette.low_name}: decreased; ✎ marks "
        "designed blocks. Rows without a mark only react to their changed input.",
        help=f"Channels in their order, on one scale symmetric about 0. {CLIPPED}",
    )
