"""What each command of `python -m se_viz` does; a function here has the name of its command."""

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from se_viz import __version__
from se_viz.analysis import analyse
from se_viz.errors import DataError, NetworkError, SeVizError
from se_viz.gates.tables import check_target, summarise_blocks, tabulate_gates, write_table
from se_viz.images import open_image
from se_viz.networks import Network, NetworkCard, list_networks, load_network
from se_viz.runtime import available_devices, choose_device


def gates(arguments: argparse.Namespace) -> int:
    """Show or write every gate for each image; return 1 if an image was left out, 2 if all were."""
    if arguments.out:
        check_target(arguments.out)
    network, tables = _load(arguments), []
    images = dict.fromkeys(arguments.images)
    for path in images:
        try:
            tables.append(_gates_of(network, path, show=arguments.out is None))
        except SeVizError as error:
            print(f"se_viz: {path}: {error}", file=sys.stderr)
    if arguments.out and tables:
        _write(pd.concat(tables, ignore_index=True), arguments.out)
    return 2 if not tables else int(len(tables) < len(images))


def networks(arguments: argparse.Namespace) -> int:
    """List the networks that can be loaded."""
    for card in _cards(arguments):
        print(f"{card.name:32} {card.parameters / 1e6:6.2f} M parameters  top-1 {card.top1:.2%}  {card.data}")
    return 0


def train(arguments: argparse.Namespace) -> int:
    """Train a network, or go on with a run."""
    from se_viz.train.command import run

    run(arguments)
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the top-1 accuracy of a network."""
    from se_viz.train.data import find_data
    from se_viz.train.evaluate import evaluate_folder

    network = _load(arguments)
    top1, count = evaluate_folder(network, find_data(arguments.data))
    print(f"{network.card.name}: top-1 {top1:.2%} on {count} images at {network.card.input_size} px ({network.device})")
    return 0


def info(arguments: argparse.Namespace) -> int:
    """Print versions, devices and networks."""
    packages = ("torch", "torchvision", "captum", "streamlit", "plotly")
    print(f"se_viz {__version__}, Python {sys.version.split()[0]}")
    print(", ".join(f"{package} {version(package)}" for package in packages))
    print(f"devices: {', '.join(available_devices())}; used: {choose_device().reason}")
    print("networks:")
    return networks(arguments)


def _cards(arguments: argparse.Namespace) -> tuple[NetworkCard, ...]:
    cards = list_networks(arguments.checkpoints)
    if not cards:
        place = arguments.checkpoints or "this installation"
        raise NetworkError(f"There is no network in {place}. Train one, or name a folder with --checkpoints.")
    return cards


def _load(arguments: argparse.Namespace) -> Network:
    name = arguments.network or _cards(arguments)[0].name
    return load_network(name, arguments.device, folder=arguments.checkpoints)


def _gates_of(network: Network, path: Path, *, show: bool) -> pd.DataFrame:
    analysis = analyse(network, open_image(path))
    answer = ", ".join(f"{network.classes[index]} {share:.1%}" for index, share in analysis.top(3))
    print(f"{path}: {answer}")
    if show:
        print(summarise_blocks(analysis.records).to_string(index=False, float_format="{:.3f}".format))
    return tabulate_gates(analysis.records, images=[str(path)])


def _write(table: pd.DataFrame, path: Path) -> None:
    try:
        write_table(table, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}. Name another file with --out.") from error
    print(f"{len(table)} gates written to {path}")
