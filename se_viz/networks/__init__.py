"""Networks with SE blocks: how they are built, saved and loaded."""

from se_viz.networks.card import NetworkCard
from se_viz.networks.zoo import Network, list_networks, load_network

__all__ = ["Network", "NetworkCard", "list_networks", "load_network"]
