"""`gates` and `health`: what the gates of images do."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from se_viz.commands.inputs import check_targets, end, gather_images, leave_out, load, write
from se_viz.errors import DataError, ImageError, SeVizError
from se_viz.experiments import analyse, check_network, read_limits
from se_viz.gates.health import tabulate_health
from se_viz.gates.tables import TableWriter, open_table, summarise_blocks, tabulate_gates
from se_viz.gates.verdicts import describe_block, describe_network
from se_viz.images import open_image
from se_viz.names import name_path, show_path, show_text
from se_viz.networks import Network

_NPZ_ROWS = 5_000_000
"""Rows that a file is given which is built in memory."""


def gates(arguments: argparse.Namespace) -> int:
    """Show or write every gate for each image; return 1 if an image was left out, 2 if all were."""
    check_targets(arguments)
    images, missing = gather_images(arguments.images)
    if not images:
        return 2
    network = load(arguments)
    if not arguments.out:
        count = sum(_gates_of(network, path) for path in images)
        return end(count, len(images) + missing)
    _check_rows(network, images, arguments.out)
    with open_table(arguments.out) as table:
        count = sum(_gates_of(network, path, table) for path in _progress(images))
        if not count:
            raise ImageError(
                f"No image could be used: {show_path(arguments.out)} is not written. Name other "
                "images."
            )
    print(f"{table.rows} gates written to {show_path(arguments.out)}")
    return end(count, len(images) + missing)


def health(arguments: argparse.Namespace) -> int:
    """Say or write how healthy the gates are over some images.

    Return 1 if an image was left out, 2 if all were.
    """
    check_targets(arguments)
    limits = read_limits(arguments.limit)
    images, missing = gather_images(arguments.images)
    if not images:
        return 2
    network = load(arguments)
    records = {}
    for path in _progress(images):
        try:
            records[path] = analyse(network, open_image(path)).records
        except SeVizError as error:
            leave_out(path, error)
    if not records:
        return 2
    blocks = check_network(network, records, limits)
    print(
        f"{network.card.name}, {len(records)} {'image' if len(records) == 1 else 'images'}: "
        f"{describe_network(blocks)}"
    )
    if arguments.out:
        write(tabulate_health(blocks), arguments.out, "blocks")
    else:
        print(*map(describe_block, blocks), sep="\n")
    return end(len(records), len(images) + missing)


def _gates_of(network: Network, path: Path, table: TableWriter | None = None) -> bool:
    """Show the answer to one image, and add its gates to a table or show them.

    Return whether it could be used.
    """
    try:
        analysis = analyse(network, open_image(path))
    except SeVizError as error:
        leave_out(path, error)
        return False
    answer = ", ".join(f"{network.classes[index]} {share:.1%}" for index, share in analysis.top(3))
    if network.card.independent:
        answer = f"{network.name_answer(analysis.logits)} ({answer})"
    print(f"{show_path(path)}: {show_text(answer)}")
    if table:
        table.add(tabulate_gates(analysis.records, images=[name_path(path)]))
    else:
        print(
            summarise_blocks(analysis.records).to_string(index=False, float_format="{:.3f}".format)
        )
    return True


def _check_rows(network: Network, images: Sequence[Path], out: Path) -> None:
    """Refuse a file that would not fit in memory, where only whole arrays can be written."""
    rows = len(images) * sum(site.channels for site in network.inspection.sites)
    if out.suffix.lower() == ".npz" and rows > _NPZ_ROWS:
        raise DataError(
            f"{len(images)} images have {rows:,} gates, and an .npz file, which is made in memory, "
            f"is given up to {_NPZ_ROWS:,}. Write a .parquet or .csv file, or name fewer images."
        )


def _progress(images: Sequence[Path]) -> Iterable[Path]:
    # Lines on the same screen tell the progress, too.
    return tqdm(images, leave=False, disable=sys.stdout.isatty() or None)
