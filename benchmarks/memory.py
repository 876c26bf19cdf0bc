"""What a long day leaves behind: resident memory over a thousand images, beside what the caches
may hold.

python -m benchmarks.memory [--images 1000] [--network NAME]
"""

import argparse
import gc
import hashlib

from streamlit.logger import set_log_level

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table, resident_memory, show_memory
from benchmarks.paint import make_photo
from se_viz import list_networks
from se_viz.devices.choice import choose_device
from se_viz.ui.asking.analysis import get_analysis
from se_viz.ui.asking.choices import Choices
from se_viz.ui.asking.engine import get_view
from se_viz.ui.session.photos import get_photo
from se_viz.ui.session.state import ChosenImage

HEAD = ("images analysed", "resident memory", "more than when the caches were full")
"""What the columns of the table hold."""
FULL = 128
"""Images after which the caches have their most entries, and every further one drops one."""


def main(words: list[str] | None = None) -> None:
    """Analyse photos one after the other, as sessions do, and print the table and the machine."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--images", type=int, default=1000, help=f"photos, more than {2 * FULL} (default: 1000)"
    )
    parser.add_argument("--network", help="name of the network (default: the first bundled one)")
    arguments = parser.parse_args(words)
    # Streamlit warns at each call that no server runs.
    set_log_level("ERROR")
    machine = describe_machine()
    name = arguments.network or list_networks()[0].name
    device = str(choose_device().device)
    marks = measure(name, device, arguments.images)
    start = dict(marks)[2 * FULL]
    rows = [
        [str(count), show_memory(memory), show_growth(memory, start)] for count, memory in marks
    ]
    print(
        f"{as_table(HEAD, rows)}\n\n{name} on {device}; the caches hold {FULL} photos and analyses "
        "each at most."
    )
    print(machine.show())


def measure(name: str, device: str, images: int) -> list[tuple[int, float | None]]:
    """Return the resident memory in MiB before the first photo, when the caches are full, and then
    on.
    """
    network = get_view(name, device)
    marks = [(0, _memory())]
    for count in range(1, images + 1):
        content = make_photo((640, 480), count)
        image = ChosenImage("photo", content, hashlib.sha256(content).hexdigest())
        get_analysis(
            Choices(
                image, network, name, device, get_photo(image.digest, network.card.view, content)
            )
        )
        # Twice as many as fit: the allocator has then met its usual holes.
        if count >= 2 * FULL and (count % (2 * FULL) == 0 or count == images):
            marks.append((count, _memory()))
    return marks


def show_growth(memory: float | None, start: float | None) -> str:
    """Return how much more is held than at the start, for a table."""
    return "not told here" if memory is None or start is None else f"{memory - start:+.0f} MiB"


def _memory() -> float | None:
    gc.collect()
    return resident_memory()


if __name__ == "__main__":
    main()
