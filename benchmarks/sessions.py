"""Many people at once, each with their own photos: waiting time, throughput and memory.

python -m benchmarks.sessions [--rounds 5] [--people 1 8 32] [--network NAME]

The first table is of the library: threads that analyse, beside one thread that runs ready batches
and nothing else. The second is of the app: sessions that upload, until the gates have come; each
shows its next photo then, so the attribution of the one before ends at its next slice.
"""

import argparse
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from PIL import Image

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table, percentile, resident_memory, show_memory
from benchmarks.paint import make_photo
from benchmarks.server import run_app
from benchmarks.visitor import visit
from se_viz import Network, list_networks, load_network, open_image
from se_viz.devices.allocator import keep_freed_memory
from se_viz.devices.choice import line_of
from se_viz.experiments.analysis import analyse

BATCHES = (1, 2, 4, 8, 16, 32)
"""Images in one pass of the single thread; the best one counts."""
HEAD = (
    "people",
    "median wait, s",
    "95 of 100 wait less than, s",
    "images a second",
    "of the best batch's",
    "memory",
)
"""What the columns of both tables hold."""
_SIZE = (640, 480)


@dataclass(frozen=True, slots=True)
class Crowd:
    """What many people at once have seen."""

    waits: tuple[float, ...]
    """Seconds each photo took."""
    seconds: float
    """From the first photo to the last."""

    @property
    def throughput(self) -> float:
        """Photos a second of all together."""
        return len(self.waits) / self.seconds

    def row(self, people: int, best: float, memory: float | None) -> list[str]:
        """Return one row of a table."""
        waits = [f"{percentile(self.waits, percent):.2f}" for percent in (50, 95)]
        return [
            str(people),
            *waits,
            f"{self.throughput:.2f}",
            f"{self.throughput / best:.2f}",
            show_memory(memory),
        ]


def main(words: list[str] | None = None) -> None:
    """Measure library and app, and print both tables and the machine."""
    arguments = _arguments(words)
    machine = describe_machine()
    # As the app does.
    keep_freed_memory()
    network = load_network(arguments.network or list_networks()[0].name)
    photos = {people: make_photos(people, arguments.rounds) for people in arguments.people}
    batch, best = max(
        ((size, time_batch(network, size, arguments.rounds)) for size in BATCHES),
        key=lambda pair: pair[1],
    )
    calls = [
        measure_calls(network, photos[people]).row(people, best, resident_memory())
        for people in photos
    ]
    with run_app() as server:
        visits = [
            measure_visits(server.url, photos[people]).row(
                people, best, resident_memory(server.pid)
            )
            for people in photos
        ]
    print(
        f"Best batch: {batch} images in a pass, {best:.2f} images a second.\n\nThreads that "
        "analyse:\n"
    )
    print(
        f"{as_table(HEAD, calls)}\n\nSessions that upload until gates have "
        f"come:\n\n{as_table(HEAD, visits)}"
    )
    name = network.card.name
    rounds = arguments.rounds
    print(
        f"\n{name} on {network.device}, {rounds} photos a person, {torch.get_num_threads()} "
        "threads a pass."
    )
    print(machine.show())


def make_photos(people: int, rounds: int) -> list[list[bytes]]:
    """Return JPEGs for each person; no two are alike, whatever the number of people."""
    return [
        [make_photo(_SIZE, 10**6 * people + 10**3 * person + turn) for turn in range(rounds)]
        for person in range(people)
    ]


def time_batch(network: Network, size: int, repeats: int) -> float:
    """Return the images a second of one thread that runs ready batches of one size, without
    capture.
    """
    side = network.card.input_size
    images = torch.randn(size, 3, side, side, device=network.device)
    # A turn, so that this thread leaves no team behind, which would slow down those measured later.
    with line_of(network.device).turn(), torch.inference_mode():
        network.model(images).cpu()
        started = time.perf_counter()
        for _ in range(repeats):
            network.model(images).cpu()
        return size * repeats / (time.perf_counter() - started)


def measure_calls(network: Network, photos: Sequence[Sequence[bytes]]) -> Crowd:
    """Let a thread a person analyse photos that are decoded already, one after the other."""
    cropped = [[network.crop(open_image(photo)) for photo in queue] for queue in photos]

    def look(photo: Image.Image) -> float:
        started = time.perf_counter()
        analyse(network, photo)
        return time.perf_counter() - started

    return crowd([lambda queue=queue: [look(photo) for photo in queue] for queue in cropped])


def measure_visits(url: str, photos: Sequence[Sequence[bytes]]) -> Crowd:
    """Open a session a person, and upload in all of them at once."""
    with ExitStack() as tabs:
        visitors = [tabs.enter_context(visit(url)) for _ in photos]
        visitors[0].show(make_photo(_SIZE, 10**9))
        return crowd(
            [
                lambda visitor=visitor, queue=queue: [visitor.show(photo) for photo in queue]
                for visitor, queue in zip(visitors, photos, strict=True)
            ]
        )


def crowd(people: Sequence[Callable[[], Sequence[float]]]) -> Crowd:
    """Let everyone start at the same moment in a thread of their own.

    Each returns what every photo took.
    """
    start = threading.Barrier(len(people) + 1)

    def begin(person: Callable[[], Sequence[float]]) -> Sequence[float]:
        start.wait()
        return person()

    with ThreadPoolExecutor(len(people)) as pool:
        running = [pool.submit(begin, person) for person in people]
        start.wait()
        started = time.perf_counter()
        waits = tuple(wait for visits in running for wait in visits.result())
        return Crowd(waits, time.perf_counter() - started)


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sessions", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=5, help="photos a person (default: 5)")
    parser.add_argument(
        "--people",
        type=int,
        nargs="+",
        default=[1, 8, 32],
        help="how many at once (default: 1 8 32)",
    )
    parser.add_argument("--network", help="name of the network (default: the first bundled one)")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
