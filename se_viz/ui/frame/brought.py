"""Networks that sessions brought: held for each session alone, and dropped with it."""

import threading
import time

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx

from se_viz.devices import Holdings
from se_viz.networks import Network, NetworkCard
from se_viz.networks.own import count_bytes, forget, forget_left, is_for_now, is_kept, keep
from se_viz.networks.zoo import OWN
from se_viz.ui.asking import get_engine

_LOOK = 15.0
"""Seconds between two looks at who has left."""
_bringing = threading.Lock()


def bring(network: Network) -> NetworkCard:
    """Keep a network for the session that brought it; return its card, by whose name it loads.

    Raises:
        BusyError: the session, or all together, hold too much.
    """
    name = network.card.name
    session = _session()
    if is_kept(name) and not is_for_now(name):
        return network.card
    size = count_bytes(network)
    with _bringing:
        _holdings().check(session, name, size)
        card = keep(network, for_now=True)
        _holdings().hold(session, name, size, time.monotonic())
    return card


def is_shown(card: NetworkCard) -> bool:
    """Tell whether this session may see a network: what others brought is theirs."""
    if not card.name.startswith(OWN):
        return True
    return is_mine(card) or not is_for_now(card.name)


def is_mine(card: NetworkCard) -> bool:
    """Tell whether this session brought a network."""
    return _holdings().holds(_session(), card.name)


def give_up(name: str) -> None:
    """Give up a network that this session brought."""
    _holdings().give_up(_session(), name)


def is_private() -> bool:
    """Tell whether this machine alone can reach the app: who uses it is its owner."""
    return st.get_option("server.address") in ("localhost", "127.0.0.1", "::1")


def _session() -> str:
    context = get_script_run_ctx(suppress_warning=True)
    return context.session_id if context else ""


@st.cache_resource(show_spinner=False)
def _holdings() -> Holdings:
    forget_left()
    holdings = Holdings(_drop)
    threading.Thread(target=_watch, args=(holdings,), daemon=True, name="se_viz-visits").start()
    return holdings


def _drop(name: str) -> None:
    get_engine().drop(name)
    forget(name)


def _watch(holdings: Holdings) -> None:
    while True:
        time.sleep(_LOOK)
        if runtime.exists():
            holdings.sweep(runtime.get_instance().is_active_session, time.monotonic())
