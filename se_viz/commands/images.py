"""`gates` and `health`: what the gates of images do."""

import argparse
import sys
from pathlib import Path

import pandas as pd

from se_viz.analysis import analyse
from se_viz.checkup import check_network, read_limits
from se_viz.commands.inputs import load, write
from se_viz.errors import SeVizError
from se_viz.gates.health import tabulate_health
from se_viz.gates.tables import check_target, summarise_blocks, tabulate_gates
from se_viz.gates.verdicts import describe_block, describe_network
from se_viz.images import find_images, open_image
from se_viz.networks import Network


def gates(arguments: argparse.Namespace) -> int:
    """Show or write every gate for each image; return 1 if an image was left out, 2 if all were."""
    if arguments.out:
        check_target(arguments.out)
    network, tables = load(arguments), []
    images = dict.fromkeys(arguments.images)
    for path in images:
        try:
            tables.append(_gates_of(network, path, show=arguments.out is None))
        except SeVizError as error:
            print(f"se_viz: {path}: {error}", file=sys.stderr)
    if arguments.out and tables:
        write(pd.concat(tables, ignore_index=True), arguments.out, "gates")
    return 2 if not tables else int(len(tables) < len(images))


def health(arguments: argparse.Namespace) -> int:
    """Say or write how healthy the gates are over some images; return 1 if an image was left out, 2 if all were."""
    if arguments.out:
        check_target(arguments.out)
    limits, images, used = read_limits(arguments.limit), find_images(arguments.images), {}
    network = load(arguments)
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
        write(tabulate_health(blocks), arguments.out, "blocks")
    else:
        print(*map(describe_block, blocks), sep="\n")
    return int(len(used) < len(images))


def _gates_of(network: Network, path: Path, *, show: bool) -> pd.DataFrame:
    analysis = analyse(network, open_image(path))
    answer = ", ".join(f"{network.classes[index]} {share:.1%}" for index, share in analysis.top(3))
    print(f"{path}: {answer}")
    if show:
        print(summarise_blocks(analysis.records).to_string(index=False, float_format="{:.3f}".format))
    return tabulate_gates(analysis.records, images=[str(path)])
