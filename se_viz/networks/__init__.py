"""Networks with SE blocks: how they are built, found, fetched, saved and loaded.

Names are imported on first use: cards can be read without PyTorch.
"""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.networks.card import NetworkCard, View
    from se_viz.networks.loading import load_network
    from se_viz.networks.network import Network
    from se_viz.networks.zoo import list_networks

__all__ = ["Network", "NetworkCard", "View", "list_networks", "load_network"]

__getattr__ = import_on_first_use(
    __name__,
    {
        "card": ("NetworkCard", "View"),
        "loading": ("load_network",),
        "network": ("Network",),
        "zoo": ("list_networks",),
    },
)
