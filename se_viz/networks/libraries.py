"""The libraries that build networks: whether they are installed, without importing them."""

from importlib.util import find_spec

from se_viz.errors import NetworkError
from se_viz.networks.card import NetworkCard


def has_library(card: NetworkCard) -> bool:
    """Tell whether the library that builds a network is installed."""
    return card.library != "timm" or find_spec("timm") is not None


def require_library(card: NetworkCard) -> None:
    """Check that the library that builds a network is installed.

    Raises:
        NetworkError: it is not.
    """
    if not has_library(card):
        raise NetworkError(
            f"{card.name} is built by timm, which is not installed. Install it: `pip install timm`."
        )
