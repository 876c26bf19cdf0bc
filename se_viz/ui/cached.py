"""Everything slow that pages ask for, cached with a bound and keyed by hash of the image, network and settings."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial

import streamlit as st
from torch import Tensor

from se_viz.analysis import Analysis, analyse
from se_viz.attribution.records import Attribution
from se_viz.attribution.targets import Target
from se_viz.errors import SeVizError
from se_viz.ui.cases import Case, Work, borrow_inputs, case_of
from se_viz.ui.choices import Choices
from se_viz.ui.loaded import borrow_network
from se_viz.ui.methods import Request
from se_viz.ui.waiting import waiting
from se_viz.ui.words import as_markdown


def get_analysis(choices: Choices, block: str | None = None) -> Analysis:
    """Analyse the photo; with ``block``, keep that block's feature maps too. Where it cannot, end the page here.

    What is not known yet comes from a single pass. All sessions are given the same records: nobody writes into them.
    """
    try:
        with waiting("Analysing the image…") as watch:
            case = case_of(choices)
            # Asked for by both caches, run for the first.
            look = cache(partial(_look, case, block, Work(choices.photo, watch)))
            features = _features(case, block, _look=look) if block else None
            analysis = _analysis(case, _look=look)
    except SeVizError as problem:
        st.error(as_markdown(problem))
        st.stop()
    return analysis if features is None else _hold(analysis, {block: features})


def get_attribution(choices: Choices, target: Target, request: Request) -> Attribution:
    """Attribute a class of the photo to its pixels.

    Raises:
        SeVizError: the method cannot run, or too many wait; the text says what to do.
    """
    with waiting("Computing the attribution…", slow=True) as watch:
        return attribute_pixels(case_of(choices), target, request, _work=Work(choices.photo, watch))


@st.cache_data(max_entries=1024, max_size="512MB", show_spinner=False)
def attribute_pixels(case: Case, target: Target, request: Request, *, _work: Work) -> Attribution:
    """Attribute a class to pixels, once for all pages.

    Raises:
        SeVizError: the method cannot run, or too many wait; the text says what to do.
    """
    # Here, so that the first page does not wait for Captum.
    from se_viz.attribution.run import attribute

    with borrow_inputs(case, _work) as (network, inputs):
        return attribute(
            network,
            inputs,
            target.index,
            request.method,
            against=target.against,
            baseline=request.baseline,
            stage=request.stage,
            watch=_work.watch,
            report=_work.report,
            **dict(request.options),
        )


def _look(case: Case, block: str | None, work: Work) -> Analysis:
    with borrow_network(case.network, case.device) as network:
        return analyse(network, work.photo, keep_features=[block] if block else [], whole=True, watch=work.watch)


# Not copied for everyone who asks: it is small, many pages ask for many images, and nobody writes into it.
@st.cache_resource(max_entries=128, show_spinner=False)
def _analysis(case: Case, *, _look: Callable[[], Analysis]) -> Analysis:
    return _hold(_look(), {})


@st.cache_data(max_entries=128, max_size="256MB", show_spinner=False)
def _features(case: Case, block: str, *, _look: Callable[[], Analysis]) -> Tensor:
    return next(kept for record in _look().records if record.name == block and (kept := record.features) is not None)


def _hold(analysis: Analysis, features: Mapping[str | None, Tensor]) -> Analysis:
    """Return an analysis whose records hold these feature maps, by name, and no others."""
    records = (replace(record, features=features.get(record.name)) for record in analysis.records)
    return replace(analysis, records=tuple(records))
