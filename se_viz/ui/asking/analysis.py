"""The analysis of a photo, which every page begins with."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import streamlit as st

from se_viz.engine.questions import Analyse, Case
from se_viz.errors import SeVizError
from se_viz.experiments import Analysis
from se_viz.gates import GateRecord
from se_viz.ui.asking.choices import Choices
from se_viz.ui.asking.engine import get_engine
from se_viz.ui.asking.questions import case_of, tell_apart
from se_viz.ui.session import waiting
from se_viz.ui.words import as_markdown


def get_analysis(choices: Choices, block: str | None = None) -> Analysis:
    """Analyse the photo; with ``block``, keep that block's feature maps too.

    Where it cannot, end the page here.

    What is not known yet comes from a single pass. All sessions are given the same records: nobody
    writes into them.
    """
    try:
        with waiting("Analysing the image…") as watch:
            case = case_of(choices)
            # Asked for by both caches, run for the first.
            progress = tell_apart(watch, lambda *_: None)
            look = cache(
                partial(get_engine().ask, case, choices.all_seen, Analyse(block), progress=progress)
            )
            record = _keep_record(case, block, _look=look) if block else None
            analysis = _analysis(case, _look=look)
    except SeVizError as problem:
        st.error(as_markdown(problem))
        st.stop()
    return analysis if record is None else _hold(analysis, record)


# Not copied for everyone who asks: it is small, many pages ask for many images, and nobody writes
# into it.
@st.cache_resource(max_entries=128, show_spinner=False)
def _analysis(case: Case, *, _look: Callable[[], Analysis]) -> Analysis:
    return _hold(_look())


@st.cache_data(max_entries=128, max_size="256MB", show_spinner=False)
def _keep_record(case: Case, block: str, *, _look: Callable[[], Analysis]) -> GateRecord:
    return _look().record(block)


def _hold(analysis: Analysis, detailed: GateRecord | None = None) -> Analysis:
    """Return an analysis that has the feature maps of one record, or of none."""
    records = (
        replace(
            record,
            features=detailed.features if detailed and record.name == detailed.name else None,
        )
        for record in analysis.records
    )
    return replace(analysis, records=tuple(records))
