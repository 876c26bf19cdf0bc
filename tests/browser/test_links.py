"""The address of a page holds what it shows: a link brings somebody else to the same sight."""

import re
import time
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from .steps import PATIENCE, expect_idle, go_to

pytestmark = pytest.mark.browser

COMMON = {"photo": "coffee", "network": "se_resnet50_half_imagenette"}
SIGHTS = {
    "": {"block": "layer3.1.bn3.1", "channel": "7", "value": "squeeze", "order": "channel"}
    | {"method": "saliency", "target": "2", "opacity": "0.5", "steps": "True"},
    "microscope": {"block": "layer2.0.bn3.1", "channel": "11", "gate-method": "saliency"}
    | {"erase-fill": "mean", "jacobian-view": "strongest"},
    "surgery": {"block": "layer4.2.bn3.1", "channel": "3", "surgery-way": "one"}
    | {"edits": "set0@layer3.1.bn3.1;scale1.5@layer4.2.bn3.1:0-99", "surgery-amount": "1.25"},
    "bench": {"block": "layer2.1.bn3.1", "bench-scope": "stage", "bench-squeeze": "max"}
    | {"bench-excitation": "relu", "bench-ratio": "32", "bench-stage-2-3-4-5": "3"}
    | {"bench-table": "squeeze"},
    "counterfactuals": {"block": "layer4.0.bn3.1", "channel": "5", "target": "4"}
    | {"scope": "stage", "counterfactual": "shuffle"},
    "attribution": {"target": "1", "against": "2", "baseline": "black", "tick": "saliency"}
    | {"map-sign": "against"},
    "networks": {"network-search": "seresnet50", "network-filter": "timm"},
    "guide": {"read": "gate-map"},
}
"""What links hold that were made by hand: for each page values that it would not show by itself."""

LOADING = "Failed to load resource"
"""What a browser says of the server's paths that Streamlit looks for below a page's address."""


@pytest.fixture
def open_link(browser: Browser, address: str):
    """Return a function that opens the end of an address as somebody who was never here."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_it(end: str) -> Page:
        contexts.append(browser.new_context(viewport={"width": 1440, "height": 1000}))
        contexts[-1].set_default_timeout(PATIENCE)
        contexts[-1].grant_permissions(["clipboard-read", "clipboard-write"])
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}/{end}")
        expect(page.get_by_role("button", name="Copy link")).to_be_visible()
        expect(page.get_by_text("peak memory")).to_be_visible()
        expect_idle(page)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []


def query(address: str) -> dict[str, str]:
    """Return what an address holds."""
    return dict(parse_qsl(urlsplit(address).query))


def copy_link(page: Page) -> str:
    """Click the button, and return what it has put on the clipboard."""
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Link copied.")).to_be_visible()
    return page.evaluate("navigator.clipboard.readText()")


def sight(page: Page) -> list[str]:
    """Return every line of the page but those on the time that something took."""
    lines = page.get_by_test_id("stMain").inner_text().splitlines()
    return [line for line in lines if not re.search(r"\d m?s\b|GiB|Link copied", line)]


def expect_same_sight(page: Page, other: Page) -> None:
    """Wait until two pages show the same: figures are drawn after the script has ended."""
    end = time.monotonic() + PATIENCE / 1000
    while sight(page) != sight(other) and time.monotonic() < end:
        page.wait_for_timeout(200)
    assert sight(page) == sight(other)
    assert len(sight(page)) > 20


@pytest.mark.parametrize("end", SIGHTS)
def test_a_link_brings_somebody_else_to_the_same_sight(open_link, end: str):
    """A lecturer prepares a lesson by bookmarks, and students open them."""
    values = COMMON | SIGHTS[end]
    first = open_link(f"{end}?{'&'.join(f'{name}={value}' for name, value in values.items())}")
    expect(first.get_by_text("The link ")).to_have_count(0)
    link = copy_link(first)
    assert urlsplit(link).path == f"/{end}"
    assert values.items() <= query(link).items()
    second = open_link(link.partition("/")[2].partition("/")[2].partition("/")[2])
    expect_same_sight(second, first)
    expect(second).to_have_url(link)


def test_the_address_follows_what_is_chosen_and_the_history_does_not(open_link):
    """Back leads to the last page, and not through every setting."""
    page = open_link("?photo=chelsea")
    entries = page.evaluate("history.length")
    page.get_by_test_id("stMain").get_by_text("index", exact=True).first.click()
    expect(page).to_have_url(re.compile("order=channel"))
    # Inside a part of the page that runs by itself.
    stages = page.get_by_role("radiogroup", name="At the end of stage")
    stages.get_by_text("3", exact=True).click()
    expect(page).to_have_url(re.compile("stage-se_resnet50_half_imagenette=3"))
    assert page.evaluate("history.length") == entries
    go_to(page, "Networks")
    expect(page).to_have_url(re.compile("/networks"))
    page.go_back()
    expect(page.get_by_role("heading", name="What did the gates do?")).to_be_visible()
    expect(page).to_have_url(re.compile("order=channel.*stage-se_resnet50_half_imagenette=3"))


def test_a_copied_paragraph_opens_at_it(open_link):
    """A lecturer sends the paragraph of *How to read it*, and not the page."""
    first = open_link("?photo=temple")
    first.get_by_role("link", name="How to read healthy gates").click()
    expect(first).to_have_url(re.compile("/guide.*read=healthy-gates"))
    expect_idle(first)
    link = copy_link(first)
    second = open_link(link.partition("/")[2].partition("/")[2].partition("/")[2])
    expect(second.get_by_role("heading", name="Healthy gates")).to_be_in_viewport()
    expect(second).to_have_url(link)
    other = open_link("guide?read=nothing")
    expect(other.get_by_text("The link asks for read “nothing”")).to_be_visible()


def test_f5_keeps_the_edits(open_link):
    """What is lost on *Change the gates* are minutes of work."""
    page = open_link("surgery?photo=chelsea&block=layer4.2.bn3.1")
    page.get_by_text("All", exact=True).first.click()
    page.get_by_role("button", name="Set to 0", exact=True).click()
    expect(page).to_have_url(re.compile("edits=set0@layer4.2.bn3.1"))
    answer = page.get_by_role("heading", level=5)
    expect(answer).to_contain_text(re.compile("Now|Still"))
    expect_idle(page)
    before = answer.inner_text()
    page.reload()
    expect(page.get_by_text("1. SE_5_3: all channels set to 0")).to_be_visible()
    expect(answer).to_have_text(before)


def test_a_photo_of_ones_own_is_not_in_the_link(open_link, photo):
    """Nobody's photo leaves their session: a sample stands in, and the page says so."""
    page = open_link("")
    page.get_by_test_id("stMain").locator("input[type=file]").set_input_files(photo)
    expect(page).to_have_url(re.compile("photo=upload"))
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("an uploaded photo is not in it")).to_be_visible()
    page.reload()
    expect(page.get_by_text("the sample Cat stands in")).to_be_visible()


def test_a_page_that_waits_for_a_photo_says_which_one(open_link):
    """A link without a photo asked for this page, and not for the welcome of another one."""
    page = open_link("surgery")
    expect(page.get_by_role("heading", name="Change the gates")).to_be_visible()
    expect(page.get_by_text("Change the gates needs a photo")).to_be_visible()


def test_a_hostile_link_gives_the_page_with_sentences(open_link):
    """Anybody can write a link: what is wrong is named, and the rest is used."""
    page = open_link(
        "surgery?photo=nobody&network=%3Cscript%3Ealert(1)%3C/script%3E&block=layer9&channel=-1"
        "&target=99999999999&edits=set0@a:0-99999999999&surgery-order=%F0%9F%92%A3&evil=1"
        "&surgery-amount=nan"
    )
    warning = page.get_by_test_id("stAlertContentWarning").filter(has_text="The link ")
    expect(warning.get_by_role("listitem")).to_have_count(8)
    expect(warning).to_contain_text("“<script>alert(1)</script>”")
    expect(page.get_by_text("Edits in force")).to_be_visible()
    expect(page).not_to_have_url(re.compile("[?&](evil|edits|surgery-order|target)="))
