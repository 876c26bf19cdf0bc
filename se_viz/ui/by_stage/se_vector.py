"""The heat map of the largest gates, beside the same map weighed by a class."""

from contextlib import suppress
from functools import partial

import numpy as np
import streamlit as st

from se_viz.attribution.layers import (
    USUAL_Z,
    SEVector,
    enlarge,
    make_se_vector,
    select_channels,
    weigh_by_class,
)
from se_viz.attribution.question import LayerAttribution, Target
from se_viz.charts import CLIPPED, draw_panel, draw_threshold, fit_span, gate_span
from se_viz.engine.questions import WeighChannels
from se_viz.errors import AttributionError, SeVizError
from se_viz.experiments import Analysis
from se_viz.gates.records import GateRecord
from se_viz.gates.tables import label_blocks
from se_viz.ui.asking import Choices, ask, attempt, get_analysis, page_part
from se_viz.ui.frame import live_part
from se_viz.ui.session import keys, link_number, link_option
from se_viz.ui.widgets import current_palette, name_target, show_panel
from se_viz.ui.words import as_markdown, plain

_EXPLAINED = (
    "Gates depend on the image: choose another class, and the first map stays. *Weighed by class* "
    "is a variant of ours that draws the positive part. Each map has its own scale, as units "
    f"differ. {CLIPPED} (Roxo et al., arXiv 2412.05134)"
)


@live_part
@page_part
def show_se_vector(choices: Choices, analysis: Analysis, target: Target) -> None:
    """Show where the channels with the widest gates are active, whatever the class, and weighed by
    a class.
    """
    block, z = _choose(choices, analysis)
    record = get_analysis(choices, block).record(block)
    assert record.features is not None
    vector = attempt(partial(make_se_vector, record.gate[0], record.features[0], z))
    if isinstance(vector, SeVizError):
        st.info(as_markdown(vector))
        return
    question = WeighChannels(block, target)
    weights = ask(choices, question, "Computing the weights of the class…", slow=True)
    _show(choices, record, (vector, weights))
    st.caption(_describe(choices, weights.target), help=_EXPLAINED)


def _choose(choices: Choices, analysis: Analysis) -> tuple[str, float]:
    labels = label_blocks(analysis.records)
    left, right = st.columns(2)
    key = f"{keys.VECTOR_BLOCK}-{choices.name}"
    first = _last_that_chooses(analysis)
    link_option(key, labels, first)
    block = left.selectbox(
        "Block",
        list(labels),
        index=list(labels).index(first),
        format_func=labels.__getitem__,
        key=key,
        persist_state="session",
    )
    words = "Z: keep gates above mean + Z x standard deviation"
    link_number(keys.VECTOR_Z, low=0.0, high=3.0, default=USUAL_Z)
    return block, right.slider(
        words, 0.0, 3.0, USUAL_Z, 0.001, key=keys.VECTOR_Z, persist_state="session"
    )


def _last_that_chooses(analysis: Analysis) -> str:
    """Return the last block, or the last whose gates do not all stand at one end, where none would
    be kept.
    """
    for record in reversed(analysis.records):
        with suppress(AttributionError):
            select_channels(record.gate[0])
            return record.name
    return analysis.records[-1].name


def _show(choices: Choices, record: GateRecord, pair: tuple[SEVector, LayerAttribution]) -> None:
    vector, weights = pair
    gates, maps, weighed = st.columns(3, gap="small")
    count = int(vector.mask.sum())
    with gates:
        st.markdown(
            f"**{count} of {len(vector.mask)} channels kept**, gate above {vector.threshold:.3f}"
        )
        span = gate_span(choices.network.inspection.sites, record.gate.numpy())
        figure = draw_threshold(
            record.gate[0].numpy(), vector.threshold, current_palette(), span=span
        )
        show_panel(figure, keys.VECTOR_GATES, alt="The block's gates, and which are kept")
    with maps:
        st.markdown("**The gates alone**: no class")
        _draw(choices, enlarge(vector.map, choices.network.detail).numpy(), keys.VECTOR_MAP)
    with weighed:
        st.markdown(f"**Weighed by class**: {plain(name_target(choices, weights.target))}")
        values = enlarge(weigh_by_class(vector, weights), choices.network.detail).numpy()
        if values.any():
            _draw(choices, values, keys.VECTOR_CLASS)
        else:
            st.info(
                "These channels together are no evidence for this class. Choose a smaller Z, "
                "another block or class."
            )


def _draw(choices: Choices, values: np.ndarray, key: str) -> None:
    signed = bool((values < 0).any())
    title = "below 0 ← 0 → above" if signed else "none → strongest"
    figure = draw_panel(
        choices.photo, values, current_palette(), span=fit_span(values, signed=signed), title=title
    )
    show_panel(figure, key, alt="The map of the kept channels over the photo")


def _describe(choices: Choices, target: Target) -> str:
    name = plain(name_target(choices, target))
    return (
        r"**The gates alone**: the mean of $\tilde{X}$ over the channels with the largest gates, "
        "which **does not depend on the class**. **Weighed by class**: the same channels by their "
        f"Grad-CAM weight for {name}; where both maps agree, the largest gates serve this class."
    )
