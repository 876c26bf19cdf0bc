"""Networks that are loaded once for all sessions, and borrowed to run; the longest unused one makes room."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
import torch

from se_viz.errors import DeviceError
from se_viz.networks import Network, load_network
from se_viz.residents import Residents
from se_viz.runtime import available_devices, setting
from se_viz.ui.memory import keep_memory_flat
from se_viz.ui.waiting import stop_if_unwanted


def get_network(name: str, device: str) -> Network:
    """Return a network that is loaded once for all sessions; to run it, borrow it."""
    with borrow_network(name, device) as network:
        return network


@contextmanager
def borrow_network(name: str, device: str) -> Iterator[Network]:
    """Yield a network that stays on its device inside the ``with`` block; outside it may be moved out.

    Borrow first, then wait for a turn: the other way round, all would wait while it loads.

    Raises:
        DeviceError: the device has no room for it.
    """

    def load() -> Network:
        try:
            with st.spinner("Loading the network…"):
                network = load_network(name, device)
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"{device} has too little memory left to load {name}. Lower SE_VIZ_NETWORKS, or choose a smaller "
                "network or the device cpu."
            ) from error
        keep_memory_flat()
        return network

    with _residents(device).borrow(name, load, stop_if_unwanted) as network:
        yield network


def peek_network(name: str, device: str) -> Network | None:
    """Return a network if it is loaded, and load none."""
    return _residents(device).peek(name)


def drop_network(name: str) -> None:
    """Move a network out of every device, unless somebody uses it there."""
    for device in available_devices():
        _residents(device).drop(name)


@st.cache_resource(show_spinner=False)
def _residents(device: str) -> Residents[Network]:
    return Residents(setting("SE_VIZ_NETWORKS"), _move_out)


def _move_out(network: Network) -> None:
    # Pages that are still open hold the network: without its weights it takes no memory.
    network.model.to("meta")
