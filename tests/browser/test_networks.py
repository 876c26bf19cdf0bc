"""The Networks page: search, pick, look inside, fetch from a hub, and bring weights, as a visitor
does it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, expect
from safetensors.torch import save

from benchmarks.server import run_app
from se_viz.images.reading import list_samples
from se_viz.networks import list_networks
from se_viz.networks.architectures import build
from se_viz.networks.checkpoints import FOLDER
from se_viz.networks.zoo import find_card
from se_viz.ui.networks.view import _NAMES
from tests.support.loopback import Hub, run_hub
from tests.support.onnx_files import make_file

from .steps import (
    BLOCKS,
    Visit,
    box,
    expect_answer,
    expect_idle,
    gate_map,
    gate_row,
    go_to,
    open_visit,
    uploader,
)

pytestmark = pytest.mark.browser

SMALL = "timm/mobilenetv3_small_050.lamb_in1k"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A hub that has one network, with weights of nobody's."""
    card = find_card(SMALL)
    with torch.random.fork_rng(devices=[]), run_hub() as hub:
        torch.manual_seed(0)
        hub.serve_repository(
            card.source, save(build(card, num_classes=card.num_classes).state_dict())
        )
        yield hub


@pytest.fixture(scope="module")
def page(hub: Hub, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Return the page in an app of its own, whose hub is on loopback and whose cache begins
    empty.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("HF_ENDPOINT", hub.address)
        patch.setenv("SE_VIZ_CACHE", str(tmp_path_factory.mktemp("cache")))
        with run_app() as server, open_visit(browser, server.url) as visit:
            go_to(visit.page, "Networks")
            expect_page(visit.page)
            yield visit.page


def expect_page(page: Page) -> None:
    """Wait until all of the page is there."""
    expect(page.get_by_text("Downloads take")).to_be_visible()
    expect_idle(page)


def search(page: Page, words: str) -> None:
    box = page.get_by_role("textbox", name="Search")
    box.fill(words)
    box.press("Enter")


def look_inside(page: Page, *, on: bool) -> None:
    page.get_by_text("Look inside: every SE block").click()
    expect(page.get_by_role("switch", name="Look inside")).to_be_checked(checked=on)


def test_a_search_for_one_network_shows_its_details(page: Page):
    """EfficientNet-B0 has 16 blocks by its paper's table 1, and SE adds 13.7 % by torchvision's
    widths.
    """
    search(page, "torchvision b0")
    expect(page.get_by_text("1 of 434 networks.")).to_be_visible()
    expect(
        page.get_by_role("heading", name="efficientnet_b0 · IMAGENET1K_V1 (torchvision)")
    ).to_be_visible()
    expect(page.get_by_test_id("stMetric").filter(has_text="SE blocks")).to_contain_text("16")


def test_nothing_found_is_a_sentence(page: Page):
    """And the network in use is shown below it."""
    search(page, "alexnet")
    expect(page.get_by_text("No network fits. Try a shorter part of its name")).to_be_visible()
    expect(page.get_by_text("In use on all pages", exact=True)).to_be_visible()


def test_a_network_is_fetched_after_a_question_and_used(page: Page, hub: Hub):
    """The question names size and source; a hub that fails is a sentence, and the next try
    succeeds.
    """
    search(page, SMALL)
    download = page.get_by_role("button", name="Download (about 6 MB)")
    download.click()
    expect(page.get_by_text(f"from {hub.address.removeprefix('http://')} to")).to_be_visible()
    assert hub.requests == []
    hub.codes = dict.fromkeys(hub.files, 404)
    agree = page.get_by_role("button", name="Yes, download and use it")
    agree.click()
    expect(page.get_by_test_id("stAlert")).to_contain_text("(404)")
    hub.codes.clear()
    agree.click()
    expect(page.get_by_text("In use on all pages", exact=True)).to_be_visible()
    expect(page.get_by_role("combobox", name="Network")).to_have_value(
        "mobilenetv3_small_050 · lamb_in1k (timm)"
    )
    expect(page.get_by_text("Downloads take 6 MB")).to_be_visible()


def test_own_weights_lead_to_their_gates(page: Page):
    """The bundled network's own file, as weights that a user brings: 16 blocks inside, and on
    Explore their gates.
    """
    name = list_networks()[0].name
    search(page, name)
    page.get_by_role("tab", name="Weights for an architecture").click()
    expect(page.get_by_role("combobox", name="For the architecture")).to_have_value(name)
    look_inside(page, on=True)
    expect(page.get_by_text("checked by one pass of noise")).to_be_visible()
    uploader(page, ".pt").set_input_files(FOLDER / f"{name}.safetensors")
    page.get_by_role("button", name="Check and use these weights").click()
    expect(page.get_by_role("heading", name=f"{name}-")).to_be_visible()
    expect(page.get_by_text("In use on all pages", exact=True)).to_be_visible()
    expect(page.get_by_text("fits, with 10 classes: it is in use on all pages.")).to_be_visible()
    expect_idle(page)
    page.get_by_test_id("stMain").get_by_role("link", name="See its gates on Explore").click()
    # Only then: this page has an uploader too.
    expect(page.get_by_role("button", name="Cat", exact=True)).to_be_visible()
    expect_idle(page)
    page.get_by_test_id("stMain").locator("input[type=file]").set_input_files(
        list_samples()[0].path
    )
    expect_answer(page)
    expect(gate_map(page).get_by_role("option")).to_have_count(len(BLOCKS))
    for block in BLOCKS:
        expect(gate_row(page, block)).to_be_visible()


def test_a_file_of_no_weights_is_a_sentence(page: Page, tmp_path: Path):
    """A photo with the wrong name changes nothing."""
    go_to(page, "Networks")
    expect_page(page)
    wrong = tmp_path / "cat.pt"
    wrong.write_bytes(list_samples()[0].path.read_bytes())
    uploader(page, ".pt").set_input_files(wrong)
    page.get_by_role("button", name="Check and use these weights").click()
    expect(page.get_by_test_id("stTabs").get_by_test_id("stAlert")).to_contain_text(
        "cat.pt is neither a safetensors file nor a state dict"
    )


def test_an_onnx_file_leads_to_its_gates_and_under_the_microscope(page: Page, tmp_path: Path):
    """Its settings are read off the file, labels are given, and one gate of its block opens."""
    file = tmp_path / "mine.onnx"
    file.write_bytes(make_file(last="Softmax").SerializeToString())
    go_to(page, "Networks")
    expect_page(page)
    uploader(page, ".onnx").set_input_files(file)
    expect(page.get_by_role("spinbutton", name="Side of the image")).to_have_value("16")
    page.get_by_role("textbox", name="Labels, one a line").first.fill("ant\nbee\ncat\ndog")
    expect_idle(page)
    page.get_by_role("button", name="Check and use this network").click()
    expect(page.get_by_text("fits, with 4 classes: it is in use on all pages.")).to_be_visible()
    expect(page.get_by_text("The softmax at its end was cut off")).to_be_visible()
    expect_idle(page)
    go_to(page, "Explore")
    expect_answer(page)
    expect(gate_map(page).get_by_role("option")).to_have_count(1)
    go_to(page, "Open a gate")
    expect_idle(page)
    expect(page.get_by_text("Mul", exact=True).first).to_be_visible()
    expect(page.get_by_test_id("stMain").get_by_test_id("stPlotlyChart").first).to_be_visible()


def test_names_are_whole_and_what_is_picked_is_in_view(visit: Callable[..., Visit]):
    """At 1280 x 720 the details of the network in use stand above the table, and a row that is
    picked shows its own there without scrolling; the longest name has room.
    """
    page = visit(viewport={"width": 1280, "height": 720}).page
    go_to(page, "Networks")
    expect_page(page)
    search(page, "torchvision b0")
    heading = page.get_by_role("heading", name="efficientnet_b0 · IMAGENET1K_V1 (torchvision)")
    expect(heading).to_be_in_viewport()
    expect(page.get_by_test_id("stMetric").last).to_be_in_viewport()
    table = page.get_by_test_id("stDataFrame").first
    assert box(heading)["y"] < box(table)["y"] < 720
    longest = max((card.name for card in list_networks()), key=len)
    width = page.evaluate(
        """words => { const pen = document.createElement('canvas').getContext('2d');
            pen.font = "14px 'Source Sans', sans-serif"; return pen.measureText(words).width; }""",
        longest,
    )
    # The padding of a cell on either side.
    assert width + 16 <= _NAMES
