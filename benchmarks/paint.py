"""Upload to picture: from handing a new photo to the uploader until its gates are painted in a browser.

python -m benchmarks.paint [--repeats 10]
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table, spread
from benchmarks.server import launch_chromium, run_app
from se_viz import open_image
from se_viz.images import list_samples

SIZES = ((1152, 864), (4000, 3000))
"""Widths and heights of the photos: 1 and 12 megapixels."""
HEAD = ("photo", "file, MB", "upload to gates painted, s", "slowest, s", "received a rerun, kB")
"""What the columns of the table hold; spreads are quartiles."""
_UPLOADER = '[data-testid="stSidebar"] input[type="file"]'
_AT_REST = '[data-test-script-state="notRunning"]'
# The clock starts when the browser has the file and stops one frame after the first frame in which all five
# probabilities' texts as a whole, and every stage's picture in the gate map, differ from those of the photo before.
_WATCH = """() => {
  // Until the run ends, Streamlit keeps the figure before in the document, hidden.
  const shown = selector => [...document.querySelectorAll(selector)].filter(element => element.checkVisibility());
  const all = (selector, read) => shown(selector).map(read);
  window.seen = () => ({
    texts: all('[data-testid="stProgress"]', bar => bar.innerText).join('|'),
    maps: all('.st-key-gates .js-plotly-plot image', image => image.getAttribute('href')),
    // Pictures alone would not do: the same values make another one where the figure has another width.
    values: all('.st-key-gates .js-plotly-plot', plot => JSON.stringify(plot.data.map(trace => trace.z ?? null))),
  });
  const before = window.seen();
  const painted = now => now.texts !== before.texts && now.values.join() !== before.values.join()
    && now.maps.length === before.maps.length
    && now.maps.every((map, stage) => map && map !== before.maps[stage]);
  window.painting = new Promise((resolve, reject) => {
    document.addEventListener('change', () => {
      const start = performance.now();
      const look = () => {
        const now = window.seen();
        if (painted(now)) requestAnimationFrame(() => resolve({seconds: (performance.now() - start) / 1000, ...now}));
        else if (performance.now() - start > 120000) reject(new Error('No new gates within two minutes'));
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }, {capture: true, once: true});
  });
  return before.maps.length;
}"""


@dataclass(frozen=True, slots=True)
class Painting:
    """One photo on its way to the screen."""

    seconds: float
    """From the uploader's change event to the frame after the gates."""
    received: int
    """Bytes that the browser received until the page was at rest, attribution included."""
    size: int
    """Bytes of the photo's file."""


def main(words: list[str] | None = None) -> None:
    """Measure both sizes in one visit, and print the table and the machine."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paint", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10, help="photos a size, at least 2 (default: 10)")
    repeats = parser.parse_args(words).repeats
    machine = describe_machine()
    with run_app() as server, sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        page = launch_chromium(playwright).new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(180_000)
        page.goto(server.url)
        visit = _Visit(page, Path(folder))
        visit.warm_up()
        rows = [_row(size, [visit.paint(size, seed) for seed in range(repeats)]) for size in SIZES]
    print(as_table(HEAD, rows))
    print(f"\n{repeats} photos a row, none seen before, model warm.\n{machine.show()}")


def make_photo(size: tuple[int, int], seed: int) -> bytes:
    """Return a JPEG that no cache knows: a sample image, scaled to ``size`` and with noise of its own."""
    samples = list_samples()
    photo = open_image(samples[seed % len(samples)].path).resize(size, Image.Resampling.BICUBIC)
    noise = np.random.default_rng(seed).integers(-10, 11, (size[1], size[0], 1), dtype=np.int16)
    file = BytesIO()
    Image.fromarray((np.asarray(photo) + noise).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def _row(size: tuple[int, int], paintings: Sequence[Painting]) -> list[str]:
    seconds = [painting.seconds for painting in paintings]
    return [
        f"{size[0]} x {size[1]}",
        spread([painting.size / 1e6 for painting in paintings]).show(1),
        spread(seconds).show(2),
        f"{max(seconds):.2f}",
        spread([painting.received / 1000 for painting in paintings]).show(0),
    ]


class _Visit:
    """A browser tab on the app, and what it has received."""

    def __init__(self, page: Page, folder: Path) -> None:
        self._page = page
        self._folder = folder
        self._received = 0
        tab = page.context.new_cdp_session(page)
        self._count_bytes(tab)

    def warm_up(self) -> None:
        """Show a photo of its own, so that the network is loaded and every figure has been drawn once."""
        self._page.locator(_UPLOADER).wait_for(state="attached")
        self._hand_over(make_photo(SIZES[0], seed=1_000_005))
        self._page.locator(".st-key-attribution .js-plotly-plot").wait_for()
        self._page.locator(_AT_REST).wait_for()

    def paint(self, size: tuple[int, int], seed: int) -> Painting:
        """Hand over a new photo, and wait until it is painted and the page at rest."""
        photo = make_photo(size, seed)
        assert self._page.evaluate(_WATCH), "There is no gate map to compare with. Has the figure's key changed?"
        self._received = 0
        self._hand_over(photo)
        seen = self._page.evaluate("window.painting")
        self._page.locator(_AT_REST).wait_for()
        # What stopped the clock has to be what stays.
        rest = self._page.evaluate("window.seen()")
        assert all(rest[what] == seen[what] for what in ("texts", "values"))
        return Painting(seen["seconds"], self._received, len(photo))

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
        tab.on("Network.webSocketFrameReceived", lambda event: add(len(event["response"]["payloadData"]) * 3 / 4))


if __name__ == "__main__":
    main()
