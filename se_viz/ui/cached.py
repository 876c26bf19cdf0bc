"""Everything slow that pages ask for, cached with a bound and keyed by hash of the image, network and settings."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial

import streamlit as st
from PIL import Image
from torch import Tensor

from se_viz.analysis import Analysis, analyse
from se_viz.attribution.records import Attribution
from se_viz.errors import SeVizError
from se_viz.line import Watch
from se_viz.ui.loaded import borrow_network
from se_viz.ui.waiting import waiting


def get_analysis(name: str, device: str, digest: str, photo: Image.Image, block: str | None = None) -> Analysis:
    """Analyse a photo; with ``block``, keep that block's feature maps too. Where it cannot, end the page here.

    What is not known yet comes from a single pass. All sessions are given the same records: nobody writes into them.
    """
    try:
        with waiting("Looking at the image…") as watch:
            # Asked for by both caches, run for the first.
            look = cache(partial(_look, name, device, photo, block, watch))
            features = _features(name, device, digest, block, _look=look) if block else None
            analysis = _analysis(name, device, digest, _look=look)
    except SeVizError as problem:
        st.error(str(problem))
        st.stop()
    return analysis if features is None else _hold(analysis, {block: features})


def get_attribution(
    name: str, device: str, digest: str, photo: Image.Image, target: int, method: str, stage: int | None
) -> Attribution:
    """Attribute a class of a photo to its pixels.

    Raises:
        SeVizError: the method cannot run, or too many wait; the text says what to do.
    """
    with waiting("Computing the attribution…", slow=True) as watch:
        return _attribution(name, device, digest, target, method, stage, _photo=photo, _watch=watch)


def _look(name: str, device: str, photo: Image.Image, block: str | None, watch: Watch) -> Analysis:
    with borrow_network(name, device) as network:
        return analyse(network, photo, keep_features=[block] if block else [], watch=watch)


# Not copied for everyone who asks: it is small, many pages ask for many images, and nobody writes into it.
@st.cache_resource(max_entries=128, show_spinner=False)
def _analysis(name: str, device: str, digest: str, *, _look: Callable[[], Analysis]) -> Analysis:
    return _hold(_look(), {})


@st.cache_data(max_entries=128, max_size="256MB", show_spinner=False)
def _features(name: str, device: str, digest: str, block: str, *, _look: Callable[[], Analysis]) -> Tensor:
    return next(kept for record in _look().records if record.name == block and (kept := record.features) is not None)


def _hold(analysis: Analysis, features: Mapping[str | None, Tensor]) -> Analysis:
    """Return an analysis whose records hold these feature maps, by name, and no others."""
    records = (replace(record, features=features.get(record.name)) for record in analysis.records)
    return replace(analysis, records=tuple(records))


@st.cache_data(max_entries=256, max_size="128MB", show_spinner=False)
def _attribution(
    name: str,
    device: str,
    digest: str,
    target: int,
    method: str,
    stage: int | None,
    *,
    _photo: Image.Image,
    _watch: Watch,
) -> Attribution:
    # Here, so that the first page does not wait for Captum.
    from se_viz.attribution.run import attribute

    with borrow_network(name, device) as network:
        return attribute(network, network.preprocess(_photo), target, method, stage=stage, watch=_watch)
