"""Upload to picture: from handing a new photo to the uploader until its gates are painted in a
browser.

Beside it, by the same clock and in turn: a bare Streamlit page that shows the photo and nothing
else.

python -m benchmarks.paint [--repeats 10] [--before FOLDER]
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.machine import describe_machine
from benchmarks.measure import Spread, as_table, spread
from benchmarks.server import launch_chromium, run_app, streamlit_run
from se_viz import open_image
from se_viz.images.reading import list_samples

SIZES = ((1152, 864), (4000, 3000))
"""Widths and heights of the photos: 1 and 12 megapixels."""
HEAD = (
    "photo",
    "page",
    "upload to picture painted, s",
    "slowest, s",
    "times the bare page",
    "times before",
    "received, kB",
)
"""What the columns of the first table hold; spreads are quartiles."""
COST_HEAD = (
    "photo",
    "page",
    "busy, s",
    "script, s",
    "styles, s",
    "layout, s",
    "busy, times before",
    "nodes at rest",
    "layout shift",
)
"""What the columns of the second table hold: the browser's main thread until the picture was
painted, as medians."""
_UPLOADER = 'section[data-testid="stSidebar"] input[type="file"]'
_AT_REST = '[data-test-script-state="notRunning"]'
_COSTS = ("TaskDuration", "ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
# Five probabilities' texts as a whole, every block's mean, and the picture of the gates differ from
# those before.
_SEE_GATES = """
  // Until the run ends, Streamlit keeps what stood there before in the document, hidden.
  const shown = (selector, root = document) => [...root.querySelectorAll(selector)]
    .filter(element => element.checkVisibility());
  const canvases = () => shown('.st-key-gates *').filter(element => element.shadowRoot)
    .flatMap(element => [...element.shadowRoot.querySelectorAll('canvas')]);
  const rows = canvas => [...canvas.getRootNode().querySelectorAll('[role="option"]')];
  const pixels = canvas => {
    const picture = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Uint32Array(picture.data.buffer).reduce((sum, pixel) => (31 * sum + pixel) | 0, 0);
  };
  // A checkout from before the canvas has a figure of Plotly's, with a picture a stage.
  const plots = () => shown('.st-key-gates .js-plotly-plot');
  window.see = () => ({
    texts: shown('[data-testid="stProgress"]').map(bar => bar.innerText).join('|'),
    values: [
      ...canvases().flatMap(rows).map(row => row.getAttribute('aria-label')),
      ...plots().map(plot => JSON.stringify(plot.data.map(trace => trace.z ?? null))),
    ],
    // Values alone would not do: they may stand there before the picture is painted.
    pictures: () => [
      ...canvases().map(pixels),
      ...plots().flatMap(plot => [...plot.querySelectorAll('image')])
        .map(image => image.getAttribute('href')),
    ],
  });
"""
_SEE_PHOTO = """
  window.see = () => {
    const photos = [...document.querySelectorAll('[data-testid="stImage"] img')]
      .filter(photo => photo.naturalWidth);
    const addresses = photos.map(photo => photo.src);
    return {texts: addresses.join(), pictures: () => addresses, values: addresses};
  };
"""
# The clock starts when the browser has the file and stops one frame after the first frame in which
# all that is seen differs from the photo before.
_WATCH = """() => {
  %s
  const before = window.see(), old = before.pictures();
  const renewed = pictures => pictures.length === old.length
    && pictures.every((picture, place) => picture && picture !== old[place]);
  const painted = now => now.texts !== before.texts && now.values.join() !== before.values.join()
    && renewed(now.pictures());
  window.shift = 0;
  window.shifts ??= new PerformanceObserver(list => {
    for (const entry of list.getEntries()) window.shift += entry.value;
  });
  window.shifts.observe({type: 'layout-shift'});
  window.painting = new Promise((resolve, reject) => {
    document.addEventListener('change', () => {
      const start = performance.now();
      const look = () => {
        const now = window.see();
        const {texts, values} = now;
        const stop = () => ({seconds: (performance.now() - start) / 1000, texts, values});
        if (painted(now)) requestAnimationFrame(() => resolve(stop()));
        else if (performance.now() - start > 120000)
          reject(new Error('No new picture within two minutes'));
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }, {capture: true, once: true});
  });
  return old.length;
}"""


@dataclass(frozen=True, slots=True)
class Painting:
    """One photo on its way to the screen."""

    seconds: float
    """From the uploader's change event to the frame after the picture."""
    costs: tuple[float, ...]
    """Seconds of the browser's main thread until then: all it did, scripts, styles and layout."""
    nodes: int
    """Nodes of the page at rest."""
    shift: float
    """How far parts of the page moved until rest, as a sum of layout shifts."""
    received: int
    """Bytes that the browser received until the page was at rest, attribution included."""


def main(words: list[str] | None = None) -> None:
    """Measure both sizes on all pages in turn, and print the tables and the machine."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paint", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--repeats", type=int, default=10, help="photos a size, at least 2 (default: 10)"
    )
    parser.add_argument(
        "--before", type=Path, help="another checkout, measured in turn with this one"
    )
    options = parser.parse_args(words)
    machine = describe_machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        browser = launch_chromium(stack.enter_context(sync_playwright()))
        visits = list(_open_visits(stack, browser, folder, options.before))
        paintings = {size: _paint_in_turn(visits, size, options.repeats) for size in SIZES}
    names = [visit.name for visit in visits]
    rows = [row for size in SIZES for row in _rows(size, names, paintings[size])]
    print(as_table(HEAD, rows))
    costs = [
        _cost_row(size, name, paintings[size][name], paintings[size].get("before"))
        for size in SIZES
        for name in names
    ]
    print(f"\n{as_table(COST_HEAD, costs)}")
    print(f"\n{options.repeats} photos a row, none seen before, model warm.\n{machine.show()}")


def make_photo(size: tuple[int, int], seed: int) -> bytes:
    """Return a JPEG that no cache knows: a sample image, scaled to ``size`` and with noise of its
    own.
    """
    samples = list_samples()
    photo = open_image(samples[seed % len(samples)].path).resize(size, Image.Resampling.BICUBIC)
    noise = np.random.default_rng(seed).integers(-10, 11, (size[1], size[0], 1), dtype=np.int16)
    file = BytesIO()
    Image.fromarray((np.asarray(photo) + noise).clip(0, 255).astype(np.uint8)).save(
        file, "JPEG", quality=90
    )
    return file.getvalue()


def _open_visits(
    stack: ExitStack, browser: Browser, folder: Path, before: Path | None
) -> Iterator["_Visit"]:
    """Start a server for each page, and show a photo on it once."""
    pages = [("se_viz", {}, _SEE_GATES)]
    pages += (
        [("before", {"command": streamlit_run("app.py"), "folder": before}, _SEE_GATES)]
        if before
        else []
    )
    pages += [("bare", {"command": streamlit_run("benchmarks/bare_page.py")}, _SEE_PHOTO)]
    for name, start, see in pages:
        server = stack.enter_context(run_app(**start))
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(180_000)
        page.goto(server.url)
        visit = _Visit(name, page, folder, see)
        visit.warm_up()
        yield visit


def _paint_in_turn(
    visits: Sequence["_Visit"], size: tuple[int, int], repeats: int
) -> dict[str, list[Painting]]:
    """Give every page the same photos, one after the other: what drifts during a run meets all
    alike.
    """
    paintings: dict[str, list[Painting]] = {visit.name: [] for visit in visits}
    for seed in range(repeats):
        photo = make_photo(size, seed)
        first = seed % len(visits)
        for visit in (*visits[first:], *visits[:first]):
            paintings[visit.name].append(visit.paint(photo))
    return paintings


def _rows(
    size: tuple[int, int], names: Sequence[str], paintings: dict[str, list[Painting]]
) -> Iterator[list[str]]:
    seconds = {name: [painting.seconds for painting in some] for name, some in paintings.items()}
    for name in names:
        yield [
            f"{size[0]} x {size[1]}",
            name,
            spread(seconds[name]).show(2),
            f"{max(seconds[name]):.2f}",
            _compare(seconds[name], seconds["bare"]).show(1),
            _compare(seconds[name], seconds["before"]).show(2) if "before" in seconds else "",
            spread([painting.received / 1000 for painting in paintings[name]]).show(0),
        ]


def _compare(seconds: Sequence[float], others: Sequence[float]) -> Spread:
    """Return the ratios photo by photo."""
    return spread([mine / other for mine, other in zip(seconds, others, strict=True)])


def _cost_row(
    size: tuple[int, int],
    name: str,
    paintings: Sequence[Painting],
    before: Sequence[Painting] | None,
) -> list[str]:
    busy = ""
    if before:
        mine, others = ([one.costs[0] for one in some] for some in (paintings, before))
        busy = _compare(mine, others).show(2)
    costs = [
        spread(seconds).median
        for seconds in zip(*(painting.costs for painting in paintings), strict=True)
    ]
    nodes = spread([painting.nodes for painting in paintings]).median
    shift = spread([painting.shift for painting in paintings]).median
    return [
        f"{size[0]} x {size[1]}",
        name,
        *(f"{cost:.2f}" for cost in costs),
        busy,
        f"{nodes:.0f}",
        f"{shift:.2f}",
    ]


class _Visit:
    """A browser tab on a page, and what it has received."""

    def __init__(self, name: str, page: Page, folder: Path, see: str) -> None:
        self.name = name
        self._page = page
        self._folder = folder
        self._see = see
        self._received = 0
        self._tab = page.context.new_cdp_session(page)
        # Seconds of the processor: by the clock, other work on the machine would count too.
        self._tab.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._count_bytes(self._tab)

    def warm_up(self) -> None:
        """Show a photo of its own, so that the network is loaded and every figure has been drawn
        once.
        """
        self._page.locator(_UPLOADER).wait_for(state="attached")
        self._hand_over(make_photo(SIZES[0], seed=1_000_005))
        last = (
            ".st-key-attribution .js-plotly-plot"
            if self._see == _SEE_GATES
            else '[data-testid="stImage"] img'
        )
        self._page.locator(last).wait_for()
        self._page.locator(_AT_REST).wait_for()

    def paint(self, photo: bytes) -> Painting:
        """Hand over a new photo, and wait until it is painted and the page at rest."""
        self._page.bring_to_front()
        assert self._page.evaluate(_WATCH.replace("%s", self._see)), (
            "There is no picture to compare with."
        )
        self._received = 0
        start = self._measure()
        self._hand_over(photo)
        painting = self._page.evaluate("window.painting")
        end = self._measure()
        self._page.locator(_AT_REST).wait_for()
        # What stopped the clock has to be what stays.
        rest = self._page.evaluate("(({texts, values}) => ({texts, values}))(window.see())")
        assert all(painting[what] == value for what, value in rest.items())
        costs = tuple(end[name] - start[name] for name in _COSTS)
        nodes = int(self._measure()["Nodes"])
        shift = self._page.evaluate("window.shift")
        return Painting(painting["seconds"], costs, nodes, shift, self._received)

    def _measure(self) -> dict[str, float]:
        return {
            metric["name"]: metric["value"]
            for metric in self._tab.send("Performance.getMetrics")["metrics"]
        }

    def _hand_over(self, photo: bytes) -> None:
        file = self._folder / f"{sha256(photo).hexdigest()}.jpg"
        file.write_bytes(photo)
        self._page.locator(_UPLOADER).set_input_files(file)

    def _count_bytes(self, tab: CDPSession) -> None:
        def add(count: float) -> None:
            self._received += int(count)

        tab.send("Network.enable")
        tab.on("Network.loadingFinished", lambda event: add(event["encodedDataLength"]))
        # Binary frames are reported in base64: four characters for three bytes.
        tab.on(
            "Network.webSocketFrameReceived",
            lambda event: add(len(event["response"]["payloadData"]) * 3 / 4),
        )


if __name__ == "__main__":
    main()
