"""`networks`, `download`, `cache` and `info`: what there is, and where it lies."""

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from importlib.metadata import version

from se_viz import __version__
from se_viz.commands.checks import cards_of
from se_viz.devices import Devices, ask_driver
from se_viz.errors import NetworkError
from se_viz.names import show_name
from se_viz.networks import NetworkCard, downloads, list_networks
from se_viz.networks.cache import cache_bytes, cache_folder, empty_cache
from se_viz.networks.libraries import has_library
from se_viz.networks.sources import GIVEN
from se_viz.networks.zoo import damaged_networks, find_card, is_on_disk
from se_viz.terminal import OutputError, TerminatedError, complain


def networks(arguments: argparse.Namespace) -> int:
    """List the networks that can be loaded, or those whose name fits a pattern."""
    cards = [card for card in cards_of(arguments) if _fits(card.name, arguments.pattern)]
    if not cards:
        raise NetworkError(
            f"No network's name holds {show_name(arguments.pattern)!r}. Try a shorter part of it: "
            "`python -m se_viz networks` lists all."
        )
    _print_cards(cards)
    damaged = damaged_networks(arguments.checkpoints, config=arguments.config)
    for name, reason in damaged.items():
        if _fits(name, arguments.pattern):
            complain(f"{name} is left out: {reason}")
    return 0


def download(arguments: argparse.Namespace) -> int:
    """Fetch the weights of a network to the cache, with a line that tells how far it is."""
    card = find_card(arguments.network, config=arguments.config)
    if is_on_disk(card):
        print(f"{card.name} is on this disk already.")
        return 0
    try:
        path = downloads.download(card, _show_progress)
    except (KeyboardInterrupt, TerminatedError, OutputError):
        # Nothing that is half there stays behind.
        downloads.cancel(card)
        raise
    print(
        f"\r{card.name} is on this disk now: {path.stat().st_size / 1e6:.0f} MB in {cache_folder()}"
    )
    return 0


def cache(arguments: argparse.Namespace) -> int:
    """Print where downloads lie and what they take; with ``--empty`` delete them."""
    if arguments.empty:
        print(f"{empty_cache() / 1e6:.0f} MB were deleted from {cache_folder()}")
        return 0
    print(
        f"{cache_folder()}: {cache_bytes() / 1e6:.0f} MB of downloads (`python -m se_viz cache "
        "--empty` deletes them)"
    )
    for card in list_networks():
        if card.source and is_on_disk(card):
            print(f"  {card.name}")
    return 0


def info(arguments: argparse.Namespace) -> int:
    """Print versions, devices and networks; with ``--check`` ask PyTorch itself for the devices."""
    packages = ("torch", "torchvision", "captum", "streamlit", "plotly")
    print(f"se_viz {__version__}, Python {sys.version.split()[0]}")
    print(", ".join(f"{package} {version(package)}" for package in packages))
    devices = _ask_pytorch() if arguments.check else ask_driver()
    print(f"devices: {', '.join(devices.names)}; used: {devices.reason}")
    if not arguments.check:
        print("  as the driver tells them; `python -m se_viz info --check` asks PyTorch itself")
    cards = cards_of(arguments)
    print(f"networks: {len(cards)}; on this disk:")
    _print_cards([card for card in cards if is_on_disk(card)])
    return 0


def _ask_pytorch() -> Devices:
    # Here, so that nobody else waits for PyTorch.
    from se_viz.devices import available_devices, choose_device

    return Devices(available_devices(), choose_device().reason)


def _fits(name: str, pattern: str) -> bool:
    return fnmatch(
        name.lower(), pattern.lower() if set(pattern) & set("*?") else f"*{pattern.lower()}*"
    )


def _print_cards(cards: Sequence[NetworkCard]) -> None:
    width = max((len(card.name) for card in cards), default=len("name"))
    print(
        f"{'name':{width}}  {'param.':>8} {'GFLOPs':>7} {'SE blocks':>9} {'SE adds':>8} "
        f"{'top-1':>7}  weights"
    )
    for card in cards:
        # Compared with the network without its SE blocks.
        share = (
            None
            if card.se_parameters is None
            else card.se_parameters / (card.parameters - card.se_parameters)
        )
        columns = (
            f"{card.parameters / 1e6:6.2f} M" if card.parameters else f"{'-':>8}",
            f"{_or_dash(card.gflops, '.2f'):>7}",
            f"{_or_dash(card.blocks, 'd'):>9}",
            f"{_or_dash(share, '.1%'):>8}",
            f"{_or_dash(card.top1, '.2%'):>7}",
        )
        print(f"{card.name:{width}}  {' '.join(columns)}  {_place(card)}")


def _or_dash(value: int | float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _place(card: NetworkCard) -> str:
    if card.library == GIVEN:
        return f"{card.architecture}, from {card.data}"
    if is_on_disk(card):
        return "on this disk"
    return (
        f"{card.download_bytes / 1e6:.0f} MB" if has_library(card) else "needs `pip install timm`"
    )


def _show_progress(come: int, total: int) -> None:
    print(f"\r{come / 1e6:.0f} of {total / 1e6:.0f} MB", end="", flush=True)
