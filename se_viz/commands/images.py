"""`gates` and `health`: what the gates of images do."""

import argparse
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path

from PIL import Image
from torch import Tensor

from se_viz.commands.inputs import load, write
from se_viz.commands.progress import Work, end, whole, work_on
from se_viz.errors import DataError, ImageError, SeVizError
from se_viz.experiments import Analysis, analyse_together, check_network, read_limits
from se_viz.gates.health import tabulate_health
from se_viz.gates.tables import TableWriter, open_table, summarise_blocks, tabulate_gates
from se_viz.gates.verdicts import describe_block, describe_network
from se_viz.names import name_path, show_path, show_text
from se_viz.networks import Network

_NPZ_ROWS = 5_000_000
"""Rows that a file is given which is built in memory."""
_DECODERS = 2
"""Images that are decoded at a time, while others run."""


def gates(arguments: argparse.Namespace) -> int:
    """Show or write every gate for each image; return 1 if an image was left out, 2 if all were."""
    network = load(arguments)
    if not arguments.out:
        return end(_write_gates(network, arguments, None), arguments.missing)
    _check_rows(network, arguments.images, arguments.out)
    with open_table(arguments.out) as table:
        work = _write_gates(network, arguments, table)
        if work.stopped and not work.done:
            # An older table stays.
            raise KeyboardInterrupt
        if not work.done:
            raise ImageError(
                f"No image could be used: {show_path(arguments.out)} is not written. Name other "
                "images."
            )
    print(f"{table.rows} gates written to {show_path(arguments.out)}")
    return end(work, arguments.missing, files=f"{arguments.out.name} holds")


def health(arguments: argparse.Namespace) -> int:
    """Say or write how healthy the gates are over some images.

    Return 1 if an image was left out, 2 if all were.
    """
    limits = read_limits(arguments.limit)
    network = load(arguments)
    records = {}

    def note(path: Path, analysis: Analysis) -> None:
        records[path] = analysis.records

    with work_on(arguments.images) as work:
        _analyse_all(network, arguments, work, note)
    if not records:
        return end(work, arguments.missing)
    blocks = check_network(network, records, limits)
    print(
        f"{network.card.name}, {len(records)} {'image' if len(records) == 1 else 'images'}: "
        f"{describe_network(blocks)}"
    )
    if arguments.out:
        write(tabulate_health(blocks), arguments.out, "blocks")
    else:
        print(*map(describe_block, blocks), sep="\n")
    return end(work, arguments.missing, files="the numbers are of")


def _write_gates(
    network: Network, arguments: argparse.Namespace, table: TableWriter | None
) -> Work:
    with work_on(arguments.images) as work:

        def show(path: Path, analysis: Analysis) -> None:
            work.say(_describe(network, path, analysis))
            if table:
                table.add(tabulate_gates(analysis.records, images=[name_path(path)]))
            else:
                summary = summarise_blocks(analysis.records)
                work.say(summary.to_string(index=False, float_format="{:.3f}".format))

        _analyse_all(network, arguments, work, show)
    return work


def _describe(network: Network, path: Path, analysis: Analysis) -> str:
    if not network.card.shares:
        return f"{show_path(path)}: {show_text(network.name_answer(analysis.logits))}"
    answer = ", ".join(f"{network.classes[index]} {share:.1%}" for index, share in analysis.top(3))
    if network.card.independent:
        answer = f"{network.name_answer(analysis.logits)} ({answer})"
    return f"{show_path(path)}: {show_text(answer)}"


def _analyse_all(
    network: Network,
    arguments: argparse.Namespace,
    work: Work,
    take: Callable[[Path, Analysis], object],
) -> None:
    """Give what each image leads to, in order, to ``take``; several images go into one pass."""
    with closing(_squares(network, arguments, work)) as squares:
        while batch := [*islice(squares, arguments.batch)]:
            try:
                analyses = analyse_together(network, [square for _, square in batch], whole=True)
            except SeVizError as error:
                for path, _ in batch:
                    work.leave_out(path, error)
                continue
            with whole():
                for (path, _), analysis in zip(batch, analyses, strict=True):
                    take(path, analysis)
                    work.finish()


def _squares(
    network: Network, arguments: argparse.Namespace, work: Work
) -> Generator[tuple[Path, Image.Image | Tensor], None, None]:
    """Yield what the network sees of each file; those of the next pass are made meanwhile."""
    paths = iter(arguments.images)
    pending: deque[tuple[Path, Future[Image.Image | Tensor]]] = deque()
    with ThreadPoolExecutor(_DECODERS) as pool:
        try:
            while True:
                for path in islice(paths, arguments.batch + _DECODERS - len(pending)):
                    pending.append((path, pool.submit(network.see, path)))
                if not pending:
                    return
                path, square = pending.popleft()
                try:
                    yield path, square.result()
                except SeVizError as error:
                    work.leave_out(path, error)
        finally:
            pool.shutdown(cancel_futures=True)


def _check_rows(network: Network, images: Sequence[Path], out: Path) -> None:
    """Refuse a file that would not fit in memory, where only whole arrays can be written."""
    rows = len(images) * sum(site.channels for site in network.inspection.sites)
    if out.suffix.lower() == ".npz" and rows > _NPZ_ROWS:
        raise DataError(
            f"{len(images)} images have {rows:,} gates, and an .npz file, which is made in memory, "
            f"is given up to {_NPZ_ROWS:,}. Write a .parquet or .csv file, or name fewer images."
        )
