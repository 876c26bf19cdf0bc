"""The start: from the process to the first usable page, and the server's peak memory afterwards.

python -m benchmarks.start [--repeats 5]
"""

import argparse
import time
from collections.abc import Iterator

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table, peak_memory, show_memory, spread
from benchmarks.server import Server, launch_chromium, run_app
from se_viz.attribution.catalogue import COMMON, METHODS, Method
from se_viz.images.reading import list_samples

TIMES = ("from starting the process to", "median and quartiles, s", "first, s", "slowest, s")
"""What the columns of the first table hold."""
STEPS = (
    "the server's first answer",
    "the first usable page",
    "the gates of a sample clicked there at once",
)
"""What the rows of the first table time."""
MEMORY = ("the server, after", "peak memory so far")
"""What the columns of the second table hold."""
_PATIENCE = 180_000


def main(words: list[str] | None = None) -> None:
    """Start the app again and again, use it once, and print both tables and the machine."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.start", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--repeats", type=int, default=5, help="starts, at least 2 (default: 5)")
    repeats = parser.parse_args(words).repeats
    machine = describe_machine()
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        starts = [time_start(browser) for _ in range(repeats)]
        peaks = list(measure_memory(browser))
    print(
        as_table(
            TIMES,
            [
                _row(what, seconds)
                for what, seconds in zip(STEPS, zip(*starts, strict=True), strict=True)
            ],
        )
    )
    print(f"\n{as_table(MEMORY, [(step, show_memory(peak)) for step, peak in peaks])}")
    print(f"\n{repeats} starts.\n{machine.show()}")


def time_start(browser: Browser) -> tuple[float, float, float]:
    """Return the seconds from starting the process to each of ``STEPS``.

    The browser is running already; its cache is empty, as on a first visit.
    """
    with browser.new_context() as context:
        page = context.new_page()
        started = time.perf_counter()
        with run_app() as server:
            answered = time.perf_counter()
            _open(page, server)
            usable = time.perf_counter()
            page.get_by_role("button", name=list_samples()[0].title, exact=True).first.click()
            page.get_by_text("Each row is a block").wait_for()
            return answered - started, usable - started, time.perf_counter() - started


def measure_memory(browser: Browser) -> Iterator[tuple[str, float | None]]:
    """Use a fresh server step by step.

    Yield each step with the peak memory that the server reached by then.
    """
    first, *methods = [METHODS[key] for key in COMMON]
    with run_app() as server, browser.new_page() as page:
        _open(page, server)
        yield "the first page", peak_memory(server.pid)
        page.get_by_role("button", name=list_samples()[0].title, exact=True).first.click()
        page.get_by_text(_caption_of(first)).wait_for()
        yield f"the first image's gates and {first.title}", peak_memory(server.pid)
        for method in methods:
            page.get_by_role("combobox", name="Method").click()
            page.get_by_role("option", name=method.title, exact=True).click()
            page.get_by_text(_caption_of(method)).wait_for()
            yield method.title, peak_memory(server.pid)


def _caption_of(method: Method) -> str:
    """Return what the caption of a method's map begins with; the size of a square comes later."""
    return method.looks_for.partition("a square is")[0]


def _open(page: Page, server: Server) -> None:
    page.set_default_timeout(_PATIENCE)
    page.goto(server.url)
    for sample in list_samples():
        page.get_by_role("button", name=sample.title, exact=True).first.wait_for()


def _row(what: str, seconds: tuple[float, ...]) -> list[str]:
    return [what, spread(seconds).show(2), f"{seconds[0]:.2f}", f"{max(seconds):.2f}"]


if __name__ == "__main__":
    main()
