"""The one engine of the app, and what pages see of its networks."""

from contextlib import nullcontext

import streamlit as st

from se_viz.engine import LocalEngine, NetworkView
from se_viz.ui.asking.memory import keep_memory_flat
from se_viz.ui.session import stop_if_unwanted


@st.cache_resource(show_spinner=False)
def get_engine() -> LocalEngine:
    """Return the engine that all sessions ask."""
    return LocalEngine(after_loading=keep_memory_flat)


def get_view(name: str, device: str) -> NetworkView:
    """Return what is seen of a network, which is loaded once for all sessions.

    Raises:
        SeVizError: it cannot be loaded; the text says why and what to do.
    """
    engine = get_engine()
    loaded = engine.peek(name, device) is not None
    with nullcontext() if loaded else st.spinner("Loading the network…"):
        return engine.view(name, device, progress=lambda *_: stop_if_unwanted())
