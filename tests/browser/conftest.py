"""The running app, a Chromium that visits it, and visits that note all that a page asks for."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import ExifTags, Image
from playwright.sync_api import Browser, expect, sync_playwright

from benchmarks.server import launch_chromium, run_app
from se_viz import capture_gates, list_networks, load_network, open_image
from se_viz.images.reading import list_samples

from .steps import PATIENCE, Visit, open_visit, upload

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="package")
def address() -> Iterator[str]:
    """Run the app for all browser tests; return where a browser finds it."""
    with pytest.MonkeyPatch.context() as patch:
        # As the tests themselves: another number of threads may add up in another order.
        patch.setenv("OMP_NUM_THREADS", "1")
        with run_app() as server:
            yield server.url


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Return one Chromium for all browser tests."""
    with sync_playwright() as playwright:
        # A GPU that is worked out on the CPU takes a third of Chromium's time, and paints the same.
        browser = launch_chromium(playwright, "--disable-gpu")
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Visit]]:
    """Return a function that opens the app as a new visitor, with options of Playwright's
    contexts.
    """
    with ExitStack() as visits:
        yield lambda **options: visits.enter_context(open_visit(browser, address, **options))


@pytest.fixture(scope="package")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a JPEG as a phone writes it: pixels as the sensor lay, and a note on how to turn
    them.
    """
    path = tmp_path_factory.mktemp("photos") / "from a phone.jpg"
    notes = Image.Exif()
    # 6: the top of the picture is the right-hand side of what is stored (EXIF 2.32, section 4.6.4).
    notes[ExifTags.Base.Orientation] = 6
    upright = Image.open(list_samples()[0].path)
    upright.transpose(Image.Transpose.ROTATE_90).save(path, quality=92, exif=notes)
    return path


@pytest.fixture(scope="package")
def tour(browser: Browser, address: str, photo: Path) -> Iterator[Visit]:
    """Return the visit that most tests share: the photo is uploaded, and stays the image that is
    shown.
    """
    with open_visit(browser, address) as visit:
        upload(visit.page, photo, area="stMain")
        yield visit


@pytest.fixture(scope="package")
def gates(photo: Path) -> pd.DataFrame:
    """Return every gate of the photo, by the library alone: block path, channel, squeeze and
    gate.
    """
    network = load_network(list_networks()[0].name)
    with capture_gates(network.model) as records, torch.inference_mode():
        network.model(network.preprocess(open_image(photo)))
    parts = [
        pd.DataFrame(
            {
                "path": record.block,
                "channel": range(record.gate.shape[1]),
                "squeeze": record.squeeze[0].numpy(),
                "gate": record.gate[0].numpy(),
            }
        )
        for record in records
    ]
    return pd.concat(parts, ignore_index=True)
