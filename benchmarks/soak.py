"""What a hard day leaves behind, and what one visitor who asks for the dearest costs all others.

python -m benchmarks.soak analyses [--count 2000] [--people 4]
python -m benchmarks.soak dearest [--people 16] [--rounds 2] [--repeats 2] [--demands methods ...]
python -m benchmarks.soak vanish [--count 40] [--people 8] [--networks 6] [--patience 240]
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import save
from websockets.exceptions import ConnectionClosed

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table, interleave, percentile
from benchmarks.paint import make_photo
from benchmarks.server import run_app
from benchmarks.sessions import crowd
from benchmarks.usage import HEAD, describe_growth, take_usage, wait_until_flat
from benchmarks.visitor import Visitor, visit
from se_viz import Network, list_networks, load_network
from se_viz.attribution.pixels.run import attribute
from se_viz.devices.allocator import keep_freed_memory
from se_viz.experiments.analysis import analyse

CHEAP = ("saliency", "grad_cam")
"""Methods of a pass or two: each analysis is followed by one of them."""
PARTS = 20
"""The analyses are made in so many parts, each by new threads, as the runs of the app are."""
DEAREST_HEAD = (
    "asked meanwhile", "alone: p50, s", "p95, s", "beside it: p50, s", "p95, s", "ratio of p95"
)  # fmt: skip
"""What the columns of the second table hold."""
KEPT = 130
"""Seconds after which Streamlit lets go of a session that has left, once another one leaves."""

_SIZE = (640, 480)


def main(words: list[str] | None = None) -> None:
    """Run one of the three, and print its table and the machine."""
    arguments = _arguments(words)
    machine = describe_machine()
    arguments.run(arguments)
    print(f"\n{machine.show()}")


def measure_analyses(arguments: argparse.Namespace) -> None:
    """Analyse and explain new photos in several threads; print what the process holds meanwhile."""
    # As the app does.
    keep_freed_memory()
    network = load_network(list_networks()[0].name)
    start = None
    end = take_usage()
    rows = [["0", *end.row()]]
    for analysed in analyse_in_parts(network, arguments.count, arguments.people):
        end = take_usage()
        # Growth counts from the first part on: PyTorch has then loaded what it needs.
        start = start or (analysed, end)
        rows.append([str(analysed), *end.row()])
        print(*rows[-1], flush=True)
    print(f"\n{as_table(('analyses', *HEAD), rows)}")
    if start:
        print(f"\nFrom {start[0]} on. {describe_growth(start[1], end)}")


def analyse_in_parts(network: Network, total: int, people: int) -> Iterator[int]:
    """Analyse and explain new photos.

    Yield how many are done when the threads of a part have ended.
    """
    side = network.card.input_size

    def look(number: int) -> None:
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        photo = Image.fromarray(pixels)
        target, _ = analyse(network, photo).top(1)[0]
        attribute(network, network.preprocess(photo), target, CHEAP[number % len(CHEAP)])

    size = max(1, -(-total // PARTS))
    for start in range(0, total, size):
        end = min(start + size, total)
        with ThreadPoolExecutor(people) as pool:
            list(pool.map(look, range(start, end)))
        yield end


def ask_for_methods(visitor: Visitor) -> None:
    """Ask for every attribution method side by side."""
    visitor.open("attribution")
    visitor.set(dict.fromkeys(visitor.keys("tick-"), True))


def ask_for_scores(visitor: Visitor) -> None:
    """Ask for the scores of the maps that are ticked at first."""
    visitor.open("attribution")
    visitor.set({"Score these maps": True})


def ask_for_sanity(visitor: Visitor) -> None:
    """Ask for the sanity check of the slowest map among those that are ticked at first."""
    visitor.open("attribution")
    visitor.set({"sanity-map": "Integrated Gradients"})
    visitor.finish()
    visitor.set({"Randomise a copy": True})


def ask_for_counterfactuals(visitor: Visitor) -> None:
    """Ask for the gates of each block to be replaced, by those of every lender."""
    visitor.open("counterfactuals")
    visitor.set({"scope": "Each block"})


def ask_for_ablation(visitor: Visitor) -> None:
    """Ask for the exact ablation of every channel of the open block."""
    visitor.open("counterfactuals")
    visitor.set({"measure": "Exact ablation"})


DEMANDS: dict[str, Callable[[Visitor], None]] = {
    "methods": ask_for_methods,
    "scores": ask_for_scores,
    "sanity": ask_for_sanity,
    "counterfactuals": ask_for_counterfactuals,
    "ablation": ask_for_ablation,
}
"""What takes longest on a page, by a name for the table; each returns once it has been asked."""


def measure_dearest(arguments: argparse.Namespace) -> None:
    """Time uploads of many with and without one who asks for the dearest, and print both."""
    photos = (make_photo(_SIZE, number) for number in count())
    totals = (list[float](), list[float]())
    rows = list[list[str]]()
    with run_app() as server, ExitStack() as tabs:
        visitors = [tabs.enter_context(visit(server.url)) for _ in range(arguments.people)]
        visitors[0].show(next(photos))
        for name in arguments.demands:
            waits = (list[float](), list[float]())
            for which in [which for order in interleave(arguments.repeats) for which in order]:
                uploads = [[next(photos) for _ in range(arguments.rounds)] for _ in visitors]
                with ExitStack() as beside:
                    if which:
                        beside.enter_context(_insisting(server.url, DEMANDS[name], photos))
                    waits[which].extend(upload(visitors, uploads))
            for together, some in zip(totals, waits, strict=True):
                together.extend(some)
            rows.append(compare(name, *waits))
            print(*rows[-1], flush=True)
    print(f"\n{as_table(DEAREST_HEAD, [*rows, compare('**all**', *totals)])}")
    print(
        f"\n{arguments.people} sessions upload; {len(totals[0])} photos alone, as many beside one "
        "more."
    )


def upload(visitors: Sequence[Visitor], photos: Sequence[Sequence[bytes]]) -> tuple[float, ...]:
    """Let all show their photos at once; return how long each waited for each."""
    together = zip(visitors, photos, strict=True)
    return crowd(
        [
            lambda visitor=visitor, queue=queue: [*map(visitor.show, queue)]
            for visitor, queue in together
        ]
    ).waits


def compare(name: str, alone: Sequence[float], beside: Sequence[float]) -> list[str]:
    """Return one row of the second table."""
    cells = [
        f"{percentile(waits, percent):.2f}" for waits in (alone, beside) for percent in (50, 95)
    ]
    return [name, *cells, f"{percentile(beside, 95) / percentile(alone, 95):.2f}"]


@contextmanager
def _insisting(
    url: str, demand: Callable[[Visitor], None], photos: Iterator[bytes]
) -> Iterator[None]:
    """Keep a session that demands something of one new photo after the other.

    It vanishes afterwards.
    """
    ended = threading.Event()

    def insist(visitor: Visitor) -> None:
        try:
            while True:
                visitor.finish()
                visitor.show(next(photos))
                demand(visitor)
        except (ConnectionClosed, OSError):
            if not ended.is_set():
                raise

    with visit(url) as visitor, ThreadPoolExecutor(1) as pool:
        visitor.show(next(photos))
        demand(visitor)
        running = pool.submit(insist, visitor)
        try:
            yield
        finally:
            ended.set()
            visitor.vanish()
            running.result()


def measure_vanishing(arguments: argparse.Namespace) -> None:
    """Let sessions vanish while the app works for them.

    Print what it holds before and afterwards.
    """
    photos = (make_photo(_SIZE, number) for number in count())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SE_VIZ_CACHE"] = folder
        with run_app() as server:
            # What is loaded once stays: Captum, the page of networks, both decoders.
            _vanish_together(server.url, photos, arguments.people, arguments.people)
            _bring_and_vanish(server.url, -1)
            start = take_usage(server.pid)
            alone = _wait_of_one(server.url, photos)
            _vanish_together(server.url, photos, arguments.count, arguments.people)
            for number in range(arguments.networks):
                _bring_and_vanish(server.url, number)
            end = take_usage(server.pid)
            after = _wait_of_one(server.url, photos)
            networks = len(_own_networks(folder))
            time.sleep(KEPT)
            _wait_of_one(server.url, photos)
            rest, seconds = wait_until_flat(server.pid, start, arguments.patience)
            remaining = len(_own_networks(folder))
    marks = [
        ("before", start),
        ("as the last vanished", end),
        (f"{KEPT + seconds:.0f} s later", rest),
    ]
    rows = [[name, *usage.row()] for name, usage in marks]
    print(as_table(("", *HEAD), rows))
    print(
        f"\n{describe_growth(start, rest)} Networks that vanished visitors brought: {networks}, "
        f"then {remaining}."
    )
    print(f"Upload to gates: {alone:.2f} s before, {after:.2f} s for who comes next.")


def vanish(url: str, photo: bytes, turn: int) -> None:
    """Open a session, upload, ask for all methods, and go: every other one without a farewell."""
    with visit(url) as visitor:
        visitor.show(photo)
        ask_for_methods(visitor)
        if turn % 2:
            visitor.vanish()


def _vanish_together(url: str, photos: Iterator[bytes], total: int, people: int) -> None:
    uploads = [next(photos) for _ in range(total)]
    with ThreadPoolExecutor(people) as pool:
        list(pool.map(lambda turn: vanish(url, uploads[turn], turn), range(total)))


def _wait_of_one(url: str, photos: Iterator[bytes]) -> float:
    with visit(url) as visitor:
        return visitor.show(next(photos))


def _bring_and_vanish(url: str, number: int) -> None:
    network = load_network(list_networks()[0].name)
    # No two files are alike, so that each is a network of its own.
    state = {name: value.clone() for name, value in network.model.state_dict().items()}
    next(iter(state.values())).view(-1)[0] += number
    with visit(url) as visitor:
        visitor.open("networks")
        visitor.hand_over("own-weights", f"weights-{number + 1}.safetensors", save(state))
        visitor.set({"Check and use these weights": True})
        visitor.finish()
        visitor.vanish()


def _own_networks(folder: str) -> list[Path]:
    return [*Path(folder, "own").glob("*.safetensors")]


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=(__doc__ or "").splitlines()[0]
    )
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("analyses", help="analyses with attributions, in the library")
    part.add_argument("--count", type=int, default=2000, help="analyses (default: 2000)")
    part.add_argument("--people", type=int, default=4, help="threads (default: 4)")
    part.set_defaults(run=measure_analyses)
    part = parts.add_parser("dearest", help="uploads beside a session that asks for the dearest")
    part.add_argument("--people", type=int, default=16, help="sessions that upload (default: 16)")
    part.add_argument("--rounds", type=int, default=2, help="photos each a phase (default: 2)")
    part.add_argument("--repeats", type=int, default=2, help="pairs of phases (default: 2)")
    part.add_argument(
        "--demands", nargs="+", choices=DEMANDS, default=[*DEMANDS], help="default: all"
    )
    part.set_defaults(run=measure_dearest)
    part = parts.add_parser("vanish", help="sessions that vanish while the app works for them")
    part.add_argument("--count", type=int, default=40, help="sessions (default: 40)")
    part.add_argument("--people", type=int, default=8, help="of them at once (default: 8)")
    part.add_argument("--networks", type=int, default=6, help="that bring weights (default: 6)")
    part.add_argument("--patience", type=float, default=240, help="seconds until all has gone")
    part.set_defaults(run=measure_vanishing)
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
