"""A segmenter and a detector, from page to page, with a region that goes along."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.server import run_app
from se_viz.networks.config import CONFIG
from tests.support.answers import CODE
from tests.support.own_code import write_net

from .steps import expect_answer, expect_idle, figure, go_to, open_visit

pytestmark = pytest.mark.browser

REAL = """
from torchvision.models import detection, segmentation

UNTRAINED = {"weights": None, "weights_backbone": None, "num_classes": 4}


def lraspp():
    torch.manual_seed(0)
    return randomise(segmentation.lraspp_mobilenet_v3_large(**UNTRAINED), 0.7)


def ssdlite():
    torch.manual_seed(0)
    return randomise(detection.ssdlite320_mobilenet_v3_large(**UNTRAINED), 0.7)
"""
LIST = """
[networks.mask]
make = "net.py:lraspp"
answer = "segments"
title = "A segmenter"
input = 64

[networks.boxes]
make = "net.py:ssdlite"
answer = "boxes"
title = "A detector"
input = 64
"""
FIGURES = {
    "Open a gate": "",
    "Change the gates": "answers",
    "Design a block": "bench-answers",
    "Does it matter?": "depth",
    "Where did it look?": "",
}
"""Each page, and a figure of its answer."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an app with both networks; return where a browser finds it."""
    folder = tmp_path_factory.mktemp("answers")
    write_net(folder, "net.py", CODE + REAL)
    (folder / "se_viz.toml").write_text(LIST, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv(CONFIG, str(folder / "se_viz.toml"))
        with run_app() as server:
            yield server.url


def expect_no_error(page: Page) -> None:
    expect_idle(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.locator("[data-testid=stAlertContentError]")).to_have_count(0)


@pytest.mark.parametrize("name", ["mask", "boxes"])
def test_every_page_of_a_region(browser: Browser, address: str, name: str):
    """A class picks what the network has found, and asks every page about it."""
    with open_visit(browser, f"{address}/?photo=chelsea&network={name}") as visit:
        page = visit.page
        expect_answer(page)
        expect(figure(page, "attribution")).to_be_visible()
        picker = page.get_by_role("combobox", name=re.compile("Where the answer is read"))
        expect(picker).to_have_value("Whole photo")
        picker.click()
        page.get_by_role("option").nth(1).click()
        expect(page).to_have_url(re.compile(r"region=[\d.,]+"))
        expect(figure(page, "attribution").locator(".shapelayer path").first).to_be_visible()
        expect(page.get_by_alt_text(re.compile("rectangle around the region"))).to_be_visible()
        region = re.search(r"region=([\d.,]+)", page.url)
        expect_no_error(page)
        for title, key in FIGURES.items():
            go_to(page, title)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            if key:
                expect(figure(page, key)).to_be_visible()
            expect(page).to_have_url(re.compile(re.escape(region[0]) if region else "none"))
            expect_no_error(page)
        go_to(page, "Networks")
        expect_no_error(page)
        # A link of a region opens it for somebody else.
        go_to(page, "Explore")
        expect_answer(page)
        # The address is written after the page.
        expect(page).to_have_url(re.compile(r"photo=chelsea.*region=|region=.*photo=chelsea"))
        link = page.url
    with open_visit(browser, link) as visit:
        expect_answer(visit.page)
        picker = visit.page.get_by_role("combobox", name=re.compile("Where the answer is read"))
        expect(picker).not_to_have_value("Whole photo")
        expect(visit.page.get_by_text("framed region")).to_be_visible()
        expect_no_error(visit.page)
