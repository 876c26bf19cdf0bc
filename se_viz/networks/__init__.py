"""Networks with SE blocks: how they are built, found, fetched, saved and loaded."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from se_viz.networks.card import NetworkCard, View
    from se_viz.networks.network import Network
    from se_viz.networks.zoo import list_networks, load_network

__all__ = ["Network", "NetworkCard", "View", "list_networks", "load_network"]

_HOMES = {"NetworkCard": "card", "View": "card", "Network": "network", "list_networks": "zoo", "load_network": "zoo"}


def __getattr__(name: str) -> Any:
    """Import a name from its home on first use: cards can be read without PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'se_viz.networks' has no attribute {name!r}")
    return getattr(import_module(f"se_viz.networks.{_HOMES[name]}"), name)
