"""What each command of `python -m se_viz` does; a function here has the name of its command."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from se_viz import __version__
from se_viz.analysis import analyse
from se_viz.checkup import check_network, read_limits
from se_viz.counterfactuals import Counterfactual, Question, summarise_counterfactuals, tabulate_counterfactuals
from se_viz.errors import DataError, NetworkError, SeVizError
from se_viz.gates.health import tabulate_health
from se_viz.gates.tables import SUFFIXES, check_target, summarise_blocks, tabulate_gates, write_table
from se_viz.gates.verdicts import describe_block, describe_network
from se_viz.images import find_images, open_image
from se_viz.networks import Network, NetworkCard, downloads, list_networks, load_network
from se_viz.networks.architectures import has_library
from se_viz.networks.cache import cache_bytes, cache_folder, empty_cache
from se_viz.networks.labels import read_labels
from se_viz.networks.zoo import find_card, is_on_disk
from se_viz.runtime import available_devices, choose_device
from se_viz.survey import Seen, see_image, survey_image
from se_viz.verdicts import describe_many


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
        _write(pd.concat(tables, ignore_index=True), arguments.out, "gates")
    return 2 if not tables else int(len(tables) < len(images))


def health(arguments: argparse.Namespace) -> int:
    """Say or write how healthy the gates are over some images; return 1 if an image was left out, 2 if all were."""
    if arguments.out:
        check_target(arguments.out)
    limits, images, used = read_limits(arguments.limit), find_images(arguments.images), {}
    network = _load(arguments)
    for path in images:
        try:
            used[path] = analyse(network, open_image(path)).records
        except SeVizError as error:
            print(f"se_viz: {path}: {error}", file=sys.stderr)
    if not used:
        return 2
    blocks = check_network(network, used, limits)
    print(f"{network.card.name}, {len(used)} {'image' if len(used) == 1 else 'images'}: {describe_network(blocks)}")
    if arguments.out:
        _write(tabulate_health(blocks), arguments.out, "blocks")
    else:
        print(*map(describe_block, blocks), sep="\n")
    return int(len(used) < len(images))


def counterfactuals(arguments: argparse.Namespace) -> int:
    """Show or write what replaced gates do to each image's answer; return 1 if one was left out, 2 if all were."""
    questions = [
        Question(kind, arguments.scope, arguments.repeats, arguments.seed) for kind in dict.fromkeys(arguments.kinds)
    ]
    for path, suffixes in ((arguments.out, SUFFIXES), (arguments.plot, (".html",))):
        if path:
            check_target(path, suffixes)
    paths, network = find_images(arguments.images), _load(arguments)
    images = [seen for path in paths if (seen := _see(network, path))]
    if not images:
        return 2
    # One image alone has no other to compare with.
    gallery = images if len(images) > 1 else [see_image(network, path) for path in find_images([])]
    found = {seen: survey_image(network, seen, gallery, questions) for seen in tqdm(images, leave=False)}
    _tell(network, found, arguments)
    return int(len(images) < len(paths))


def networks(arguments: argparse.Namespace) -> int:
    """List the networks that can be loaded, or those whose name fits a pattern."""
    cards = [card for card in _cards(arguments) if _fits(card.name, arguments.pattern)]
    if not cards:
        raise NetworkError(
            f"No network's name holds {arguments.pattern!r}. Try a shorter part of it: "
            "`python -m se_viz networks` lists all."
        )
    _print_cards(cards)
    return 0


def download(arguments: argparse.Namespace) -> int:
    """Fetch the weights of a network to the cache, with a line that tells how far it is."""
    card = find_card(arguments.network)
    if is_on_disk(card):
        print(f"{card.name} is on this disk already.")
        return 0
    path = downloads.download(card, _show_progress)
    print(f"\r{card.name} is on this disk now: {path.stat().st_size / 1e6:.0f} MB in {cache_folder()}")
    return 0


def cache(arguments: argparse.Namespace) -> int:
    """Print where downloads lie and what they take; with ``--empty`` delete them."""
    if arguments.empty:
        print(f"{empty_cache() / 1e6:.0f} MB were deleted from {cache_folder()}")
        return 0
    print(
        f"{cache_folder()}: {cache_bytes() / 1e6:.0f} MB of downloads (`python -m se_viz cache --empty` deletes them)"
    )
    for card in list_networks():
        if card.source and is_on_disk(card):
            print(f"  {card.name}")
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
    cards = _cards(arguments)
    print(f"networks: {len(cards)}, of which on this disk:")
    _print_cards([card for card in cards if is_on_disk(card)])
    return 0


def _fits(name: str, pattern: str) -> bool:
    return fnmatch(name.lower(), pattern.lower() if set(pattern) & set("*?") else f"*{pattern.lower()}*")


def _print_cards(cards: Sequence[NetworkCard]) -> None:
    width = max(len(card.name) for card in cards)
    print(f"{'name':{width}}  {'param.':>8} {'GFLOPs':>7} {'SE blocks':>9} {'SE adds':>8} {'top-1':>7}  weights")
    for card in cards:
        share = None if card.se_parameters is None else card.se_parameters / (card.parameters - card.se_parameters)
        columns = (
            f"{card.parameters / 1e6:6.2f} M",
            f"{_or_dash(card.gflops, '.2f'):>7}",
            f"{_or_dash(card.blocks, 'd'):>9}",
            f"{_or_dash(share, '.1%'):>8}",
            f"{_or_dash(card.top1, '.2%'):>7}",
        )
        print(f"{card.name:{width}}  {' '.join(columns)}  {_place(card)}")


def _or_dash(value: int | float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _place(card: NetworkCard) -> str:
    if is_on_disk(card):
        return "on this disk"
    return f"{card.download_bytes / 1e6:.0f} MB" if has_library(card) else "needs `pip install timm`"


def _show_progress(come: int, total: int) -> None:
    print(f"\r{come / 1e6:.0f} of {total / 1e6:.0f} MB", end="", flush=True)


def _cards(arguments: argparse.Namespace) -> tuple[NetworkCard, ...]:
    cards = list_networks(arguments.checkpoints)
    if not cards:
        place = arguments.checkpoints or "this installation"
        raise NetworkError(f"There is no network in {place}. Train one, or name a folder with --checkpoints.")
    return cards


def _load(arguments: argparse.Namespace) -> Network:
    if getattr(arguments, "weights", None):
        return _load_own(arguments)
    name = arguments.network or _cards(arguments)[0].name
    return load_network(name, arguments.device, folder=arguments.checkpoints)


def _load_own(arguments: argparse.Namespace) -> Network:
    from se_viz.networks.own import read_own

    if not arguments.architecture:
        raise NetworkError("--weights alone does not say what they are for. Add --architecture, e.g. timm/seresnet50.")
    labels = read_labels(arguments.labels) if arguments.labels else ()
    return read_own(arguments.weights, arguments.architecture, labels=labels, device=arguments.device)


def _gates_of(network: Network, path: Path, *, show: bool) -> pd.DataFrame:
    analysis = analyse(network, open_image(path))
    answer = ", ".join(f"{network.classes[index]} {share:.1%}" for index, share in analysis.top(3))
    print(f"{path}: {answer}")
    if show:
        print(summarise_blocks(analysis.records).to_string(index=False, float_format="{:.3f}".format))
    return tabulate_gates(analysis.records, images=[str(path)])


def _see(network: Network, path: Path) -> Seen | None:
    try:
        return see_image(network, path)
    except SeVizError as error:
        print(f"se_viz: {path}: {error}", file=sys.stderr)
        return None


def _tell(network: Network, found: Mapping[Seen, Sequence[Counterfactual]], arguments: argparse.Namespace) -> None:
    tables = [
        tabulate_counterfactuals(answers, network.classes).assign(image=str(seen.path))
        for seen, answers in found.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "image", table.pop("image"))
    summary = summarise_counterfactuals(table)
    print(summary.drop(columns="path").to_string(index=False, float_format="{:.4f}".format))
    for line in describe_many([*found.values()], network.classes):
        print(line)
    if arguments.out:
        _write(table, arguments.out, "counterfactuals")
    if arguments.plot:
        # Here, so that other commands do not wait for Plotly.
        from se_viz.charts.counterfactuals import draw_counterfactuals
        from se_viz.charts.maps import to_html
        from se_viz.charts.palettes import LIGHT

        arguments.plot.write_bytes(to_html(draw_counterfactuals(summary, LIGHT), LIGHT))
        print(f"The plot over depth is written to {arguments.plot}")


def _write(table: pd.DataFrame, path: Path, what: str = "gates") -> None:
    try:
        write_table(table, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}. Name another file with --out.") from error
    print(f"{len(table)} {what} written to {path}")
