"""The second half of the page *Does it matter?*: each channel's gate against its effect on a
logit.
"""

import pandas as pd
import streamlit as st

from se_viz.charts import draw_effects, draw_shuffles, gate_span
from se_viz.engine.questions import Case, EstimateEffects
from se_viz.experiments import (
    SHUFFLES,
    Analysis,
    Effects,
    SlopeTest,
    compare_slopes,
    describe_slopes,
    find_outliers,
    gates_of,
    tabulate_effects,
)
from se_viz.gates.records import GateRecord
from se_viz.gates.tables import label_blocks
from se_viz.ui.asking import Choices, ask, case_of, page_part
from se_viz.ui.counterfactuals.ablation import get_ablation, show_rest
from se_viz.ui.frame import live_part
from se_viz.ui.glossary import explain
from se_viz.ui.session import keys, open_channel
from se_viz.ui.widgets import (
    choose_block,
    choose_class,
    choose_option,
    current_palette,
    link_channel,
    open_channel_of,
    show_figure,
)
from se_viz.ui.words import plain, split_words

_MEASURES = {"estimate": "Gradient x gate", "exact": "Exact ablation"}


@live_part
@page_part
def show_effects(choices: Choices, analysis: Analysis) -> None:
    """Show gate against effect for one block and class: rank correlation, scatter, and channels
    that mislead.
    """
    block, target, measure = _choose(choices, analysis)
    # A container, so that what was there before holds its place meanwhile.
    with st.container():
        effects = _effects(choices, block, target, measure)
    show_rest(choices, block, effects)
    table = tabulate_effects(gates_of(analysis)[block], effects).dropna()
    if len(table):
        size, signed = _compare(
            (case_of(choices), block, target, measure), len(table), _table=table
        )
        words, rest = split_words(describe_slopes(size, signed, len(table)))
        st.markdown(words, help=rest or None)
        name = choices.network.classes[target]
        _show_channels(choices, table, analysis.record(block), (measure, name), size)


def _show_channels(
    choices: Choices,
    table: pd.DataFrame,
    record: GateRecord,
    effect: tuple[str, str],
    size: SlopeTest | None,
) -> None:
    measure, name = effect
    outliers = find_outliers(table)
    # Before the plot, which rings it.
    current = open_channel_of(record)
    plot, lists = st.columns([4, 3], gap="medium")
    with plot:
        _draw(choices, table, outliers, current)
        st.caption(
            _describe_effect(measure, name),
            help=explain("channel", "logit", more=_explain_effect(measure)),
        )
    with lists:
        _list_channels("Large gate, little effect", outliers[0], "useless")
        _list_channels("Small gate, large effect", outliers[1], "decisive")
        st.caption(
            "Number, gate and effect of each channel. Where all gates are large, even the smallest "
            "are large.",
            help="Above: the smallest effects among the largest quarter of the block's gates. "
            "Below: the largest "
            "effects among the smallest quarter.",
        )
        label = label_blocks(choices.network.inspection.sites)[record.name]
        st.markdown(_describe_open(table, label, current))
        link_channel(record, label)
        if size is not None:
            _show_shuffles(size)


def _draw(
    choices: Choices, table: pd.DataFrame, outliers: tuple[pd.DataFrame, pd.DataFrame], current: int
) -> None:
    useless, decisive = (channels["channel"].tolist() for channels in outliers)
    figure = draw_effects(
        table,
        current_palette(),
        useless=useless,
        decisive=decisive,
        selected=current,
        span=gate_span(choices.network.inspection.sites, table["gate"].to_numpy()),
    )
    show_figure(
        figure, keys.EFFECTS, alt="Gate against effect, one point a channel", on_click=open_channel
    )


def _show_shuffles(size: SlopeTest) -> None:
    figure = draw_shuffles(size.shuffled, size.value, size.band, current_palette())
    show_figure(
        figure,
        keys.SHUFFLES,
        alt="Rank correlations of gate and size of effect with slopes shuffled",
    )
    st.caption(
        "Line: the rank correlation of this block; bars: the same with its slopes shuffled. By "
        "chance 1 block in 20 lies outside the shaded band.",
        help=f"{SHUFFLES} shuffles. Of 16 blocks about one lies outside by chance.",
    )


def _choose(choices: Choices, analysis: Analysis) -> tuple[str, int, str]:
    first, second, third = st.columns([3, 3, 4])
    with first:
        block = choose_block(analysis)
    with second:
        target = choose_class(choices, analysis)
    with third:
        measure = choose_option("Effect by", _MEASURES, key=keys.MEASURE)
    return block, target, measure


def _effects(choices: Choices, block: str, target: int, measure: str) -> Effects:
    if measure == "exact":
        return get_ablation(choices, block, target)
    return ask(choices, EstimateEffects(block, target), "Computing the gradient…")


def _describe_effect(measure: str, name: str) -> str:
    effect = "Measured effect" if measure == "exact" else "Estimated effect"
    return (
        f"{effect} of each channel on the logit of {plain(name)}: for the class above 0, against "
        "it below. Click a point to open its channel."
    )


def _explain_effect(measure: str) -> str:
    if measure == "exact":
        return (
            "Each gate was set to 0, one at a time, and the network run again: the effect is the "
            "fall of the logit."
        )
    return (
        "Gradient x gate: the fall of the logit without the channel, if the network were linear. "
        "One backward pass; exact ablation verifies it."
    )


def _list_channels(title: str, channels: pd.DataFrame, key: str) -> None:
    st.markdown(f"**{title}**")
    with st.container(horizontal=True, gap="small"):
        for row in channels.to_dict("records"):
            st.button(
                f"#{row['channel']} · gate {row['gate']:.2f} · {row['effect']:+.1g}",
                key=f"{key}-{row['channel']}",
                on_click=_choose_channel,
                args=(row["channel"],),
            )


def _describe_open(table: pd.DataFrame, label: str, channel: int) -> str:
    rows = table.loc[table["channel"] == channel]
    if rows.empty:
        return f"Open: channel **#{channel}** of {label} (not measured)."
    gate, effect = rows[["gate", "effect"]].iloc[0]
    return f"Open: channel **#{channel}** of {label}, gate {gate:.3f}, effect {effect:+.4f} logits."


def _choose_channel(channel: int) -> None:
    keys.CHANNEL.set(channel)


@st.cache_data(max_entries=256, show_spinner=False)
def _compare(
    case: tuple[Case, str, int, str], channels: int, *, _table: pd.DataFrame
) -> tuple[SlopeTest | None, SlopeTest | None]:
    gates = _table["gate"].to_numpy()
    effects = _table["effect"].to_numpy()
    return compare_slopes(gates, effects, sizes=True), compare_slopes(gates, effects, sizes=False)
