"""Networks with SE blocks: how they are built, found, fetched, saved and loaded."""

from se_viz.networks.card import NetworkCard, View
from se_viz.networks.network import Network
from se_viz.networks.zoo import list_networks, load_network

__all__ = ["Network", "NetworkCard", "View", "list_networks", "load_network"]
