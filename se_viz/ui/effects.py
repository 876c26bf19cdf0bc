"""The second half of the page *Does it matter?*: each channel's gate against its effect on a logit."""

from contextlib import suppress

import pandas as pd
import streamlit as st
from jaxtyping import Float
from PIL import Image
from streamlit.errors import StreamlitAPIException
from torch import Tensor

from se_viz.analysis import Analysis
from se_viz.charts.effects import draw_effects
from se_viz.charts.scales import gate_span
from se_viz.counterfactuals import gates_of
from se_viz.effects import (
    LEVEL,
    RankCorrelation,
    ablate_channels,
    estimate_effects,
    find_outliers,
    rank_correlation,
    tabulate_effects,
)
from se_viz.errors import OvertakenError, SeVizError
from se_viz.gates.tables import label_blocks
from se_viz.line import Watch
from se_viz.ui.cached import borrow_network
from se_viz.ui.choices import Choices, current_palette
from se_viz.ui.figures import show_figure
from se_viz.ui.pickers import choose_block, choose_option
from se_viz.ui.progress import progress
from se_viz.ui.waiting import waiting
from se_viz.ui.words import plain
from se_viz.variants import Report

_MEASURES = {"estimate": "Gradient x gate", "exact": "Exact ablation"}


@st.fragment
def show_effects(choices: Choices, analysis: Analysis) -> None:
    """Show gate against effect for one block and class: rank correlation, scatter, and channels that mislead."""
    block, target, measure = _choose(choices, analysis)
    try:
        # A container, so that what was there before holds its place meanwhile.
        with st.container():
            effects = _effects(choices, block, target, measure)
    except OvertakenError:
        # The newer choice draws this part again at once.
        return
    except SeVizError as error:
        st.error(str(error))
        return
    table = tabulate_effects(gates_of(analysis)[block], effects)
    st.markdown(describe_ranks(table))
    outliers = find_outliers(table)
    plot, lists = st.columns([3, 2], gap="medium")
    with plot:
        _draw(choices, table, outliers)
        st.caption(_describe_effect(measure, choices.network.classes[target]))
    with lists:
        _list_channels("Among the widest, and hardly matters", outliers[0], "useless")
        _list_channels("Among the narrowest, and decides", outliers[1], "decisive")
        st.caption(
            "Number, gate and effect. Of the quarter of channels with the widest gates those with the least effect, "
            "and of the quarter with the narrowest those with the most: in a block whose gates are all wide, wide ones."
        )
        _show_channel(table, label_blocks(analysis.records)[block])


def _draw(choices: Choices, table: pd.DataFrame, outliers: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    useless, decisive = (channels["channel"].tolist() for channels in outliers)
    figure = draw_effects(
        table,
        current_palette(),
        useless=useless,
        decisive=decisive,
        selected=st.session_state.get("channel"),
        span=gate_span(choices.network.inspection.sites, table["gate"].to_numpy()),
    )
    show_figure(figure, "effects", alt="Gate against effect, one point a channel", on_click=_open_channel)


def describe_ranks(table: pd.DataFrame) -> str:
    """Say how the order of a block's gates goes with that of their effects, signed and by size."""
    gates, effects = table["gate"].to_numpy(), table["effect"].to_numpy()
    size, signed = rank_correlation(gates, abs(effects)), rank_correlation(gates, effects)
    if size is None or signed is None:
        return "These gates or their effects are all alike, or too few: there is no order to compare."
    return (
        f"Spearman's rank correlation of gate and **size of effect** is **{_say(size)}**, of gate and signed effect "
        f"{_say(signed)}. At 1 the widest gates would be those that matter most; around 0 a gate says nothing of it."
    )


def _say(ranks: RankCorrelation) -> str:
    return f"{ranks.value:+.2f} ({LEVEL:.0%} interval {ranks.low:+.2f} to {ranks.high:+.2f})"


def _choose(choices: Choices, analysis: Analysis) -> tuple[str, int, str]:
    first, second, third = st.columns([3, 3, 4])
    with first:
        block = choose_block(analysis)
    names = choices.network.classes
    ranked = [index for index, _ in analysis.top(len(names))]
    key = f"effect-target-{choices.image.digest}-{choices.name}"
    target = second.selectbox("Class", ranked, format_func=names.__getitem__, key=key, persist_state="session")
    with third:
        measure = choose_option("Effect by", _MEASURES, key="measure")
    return block, target, measure


def _effects(choices: Choices, block: str, target: int, measure: str) -> Float[Tensor, "channels"]:
    name, device, digest, photo = choices.key
    if measure == "exact":
        with progress("Shutting one channel after another…", key="ablation", stop=_stop) as (watch, report):
            return _ablation(name, device, digest, block, _photo=photo, _watch=watch, _report=report)[:, target]
    with waiting("Computing the gradient…") as watch:
        return _estimate(name, device, digest, block, target, _photo=photo, _watch=watch)


def _stop() -> None:
    st.session_state.measure = "estimate"


def _describe_effect(measure: str, name: str) -> str:
    what = (
        f"Each gate was set to 0, one at a time, and the network run again: the effect is how far the logit of "
        f"{plain(name)} fell."
        if measure == "exact"
        else f"Gradient x gate: how far the logit of {plain(name)} would fall if the network were linear. One pass "
        "back; the exact ablation tells."
    )
    return f"{what} Above 0 a channel speaks for the class, below against it. A click opens a channel."


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


def _show_channel(table: pd.DataFrame, label: str) -> None:
    opened = st.session_state.get("channel")
    if opened is None or opened >= len(table):
        return
    row = table.iloc[opened]
    st.markdown(f"Open: channel **#{opened}** of {label}, gate {row.gate:.3f}, effect {row.effect:+.4f} logits.")
    # A page that is run by itself knows no others.
    with suppress(StreamlitAPIException):
        st.page_link("pages/microscope.py", label="Follow it through the block", icon="🔬")


def _choose_channel(channel: int) -> None:
    st.session_state.channel = channel


def _open_channel(chart: str) -> None:
    points = st.session_state[chart].selection.points
    if points:
        data = points[0]["customdata"]
        # A column of custom data arrives bare, in a list or as a mapping, by the kind of array it was.
        while isinstance(data, dict | list):
            data = data[next(iter(data))] if isinstance(data, dict) else data[0]
        st.session_state.channel = int(data)


@st.cache_data(max_entries=256, max_size="16MB", show_spinner=False)
def _estimate(
    name: str, device: str, digest: str, block: str, target: int, *, _photo: Image.Image, _watch: Watch
) -> Float[Tensor, "channels"]:
    with borrow_network(name, device) as network:
        return estimate_effects(network, _photo, block, target, watch=_watch)


@st.cache_data(max_entries=64, max_size="256MB", show_spinner=False)
def _ablation(
    name: str, device: str, digest: str, block: str, *, _photo: Image.Image, _watch: Watch, _report: Report
) -> Float[Tensor, "channels classes"]:
    with borrow_network(name, device) as network:
        return ablate_channels(network, _photo, block, watch=_watch, report=_report)
