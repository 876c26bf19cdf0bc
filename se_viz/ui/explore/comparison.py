"""A second photo beside the first: the gates of both, channel by channel, and their difference."""

from collections.abc import Mapping

import numpy as np
import streamlit as st

from se_viz.charts import fit_span, gate_span, to_uri
from se_viz.experiments import Analysis
from se_viz.gates.tables import gather_gates
from se_viz.ui.asking import Choices, get_analysis, page_part, replace_image
from se_viz.ui.explore.gate_map import show_gate_map
from se_viz.ui.frame import live_part
from se_viz.ui.session import ChosenImage, keys, link_option
from se_viz.ui.widgets import choose_option, current_palette, list_fitting
from se_viz.ui.words import plain


@live_part
@page_part
def show_comparison(choices: Choices, analysis: Analysis) -> None:
    """Offer a second photo; show the gates of both in one order and on one scale, and how they
    differ.
    """
    with st.container(horizontal=True):
        image = _choose_photo(choices)
        orders = {"first": f"this {choices.noun}'s gate", "channel": "index"}
        order = choose_option("Sort both by", orders, key=keys.COMPARED_ORDER)
    if image is None:
        st.caption(f"Choose a second {choices.noun} to see which gates change between the two.")
        return
    other = replace_image(choices, image)
    seen = get_analysis(other)
    tables = compare_tables(analysis, seen)
    gates = np.concatenate([table["gate"] for table in tables])
    span = gate_span(choices.network.inspection.sites, gates)
    for column, who, look, table, key in zip(
        st.columns(2, gap="medium"),
        (choices, other),
        (analysis, seen),
        tables,
        (keys.THIS_PHOTO, keys.OTHER_PHOTO),
        strict=True,
    ):
        with column:
            _show_answer(who, look)
            show_gate_map(table, key, order=order, gates=span)
    change = tables[1]
    st.markdown("##### What changed")
    show_gate_map(
        change,
        keys.DIFFERENCE,
        value="change",
        order=order,
        gates=fit_span(change["change"], signed=True),
    )
    palette = current_palette()
    st.caption(
        f"{describe_change(change)} {palette.high_name.capitalize()}: the gate is higher for "
        f"{plain(image.name)}; {palette.low_name}: lower.",
        help=f"Gate for the second {choices.noun} minus gate for the first. All three pictures "
        "have the same channel in the same place; the scale is symmetric about 0.",
    )


def compare_tables(
    first: Analysis, second: Analysis
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the columns of both gate tables, with the first photo's gates in ``first``, and in the
    second one how much its gates differ from these, as ``change``.
    """
    one, other = (gather_gates(analysis.records) for analysis in (first, second))
    return (
        {**one, "first": one["gate"]},
        {**other, "first": one["gate"], "change": other["gate"] - one["gate"]},
    )


def describe_change(table: Mapping[str, np.ndarray]) -> str:
    """Say in which block the gates change most from photo to photo, and in which least."""
    blocks = [*dict.fromkeys(table["block"].tolist())]
    means = [float(np.abs(table["change"][table["block"] == block]).mean()) for block in blocks]
    most, least = (blocks[index] for index in (int(np.argmax(means)), int(np.argmin(means))))
    if most == least:
        return f"The gates change by {means[0]:.2f} on average."
    return (
        f"The gates change most in **{most}**, by {max(means):.2f} on average, and least in "
        f"**{least}**, by {min(means):.2f}."
    )


def _choose_photo(choices: Choices) -> ChosenImage | None:
    images = {
        member.image.sample or member.image.digest[:8]: member.image
        for member in list_fitting(choices)
        if member.image.digest != choices.image.digest
    }
    link_option(keys.COMPARED, images, None)
    name = st.selectbox(
        "Compare with",
        list(images),
        index=None,
        placeholder=f"Choose {choices.article}",
        format_func=lambda name: images[name].name,
        key=keys.COMPARED,
        persist_state="session",
        width=240,
    )
    return images.get(name) if name else None


def _show_answer(choices: Choices, analysis: Analysis) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.image(to_uri(choices.photo), width=72, alt=choices.image.name)
        share = f" · {analysis.probabilities.max().item():.1%}"
        answer = plain(choices.network.name_answer(analysis.logits))
        share = share if choices.network.card.shares else ""
        st.markdown(f"**{plain(choices.image.name)}**  \n{answer}{share}")
