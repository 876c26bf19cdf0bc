"""Every page for every reader: contrast and names by axe-core, no cut text, phone and projector."""

import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from .steps import Visit, choose_sample, expect_idle, go_to, open_visit

pytestmark = pytest.mark.browser

TITLES = {
    "What did the gates do?": "Explore",
    "Open a gate": "Open a gate",
    "Change the gates": "Change the gates",
    "Design a block": "Design a block",
    "Does it matter?": "Does it matter?",
    "Where did it look?": "Where did it look?",
    "Two networks": "Two networks",
    "What SE buys": "What SE buys",
    "Networks": "Networks",
    "How to read it": "How to read it",
}
"""The heading of each page, and its name in the navigation."""
SIZES = ((1440, 900), (1280, 720), (960, 600), (390, 844))
"""A desk, a projector, a desk at 150 %, and a phone."""
CUT = """() => [...document.querySelectorAll('[data-testid=stMain] *, [data-testid=stSidebar] *')]
    .filter(({childNodes}) => [...childNodes].some(node => node.nodeType == 3 && node.data.trim()))
    .filter(element => ['hidden', 'clip'].includes(getComputedStyle(element).overflowX))
    .filter(element => element.clientWidth && element.scrollWidth > element.clientWidth + 1)
    .map(element => `${element.textContent.trim()} in ${element.clientWidth} px`)"""


@pytest.fixture(scope="module")
def pages(browser: Browser, address: str) -> Iterator[Page]:
    """Return a visit that has a photo, for all tests: each goes to its page."""
    with open_visit(browser, address, viewport={"width": 1280, "height": 720}) as visit:
        choose_sample(visit.page, "Temple")
        yield visit.page


def open_page(page: Page, heading: str) -> None:
    go_to(page, TITLES[heading])
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
    expect(page.get_by_text("peak memory")).to_be_visible()
    expect_idle(page)


@pytest.mark.parametrize("heading", TITLES)
def test_no_page_has_a_serious_finding_and_no_text_is_cut(pages: Page, heading: str):
    """What axe-core finds serious keeps somebody out; a word that is cut keeps everybody out."""
    pages.set_viewport_size({"width": 1280, "height": 720})
    open_page(pages, heading)
    for scheme in ("dark", "light"):
        pages.emulate_media(color_scheme=scheme)
        expect_idle(pages)
        found = Axe().run(pages).response["violations"]
        serious = [
            (finding["id"], finding["nodes"][0]["html"][:200])
            for finding in found
            if finding["impact"] in ("serious", "critical")
        ]
        assert serious == [], scheme
    for width, height in SIZES:
        pages.set_viewport_size({"width": width, "height": height})
        pages.wait_for_timeout(300)
        assert pages.evaluate(CUT) == [], (width, height)


def test_a_phones_navigation_closes_when_a_page_is_chosen(visit: Callable[..., Visit]):
    """It lies over the page that was chosen in it."""
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    expect(page.get_by_role("button", name="Cat", exact=True)).to_be_visible()
    expect_idle(page)
    page.get_by_test_id("stExpandSidebarButton").click()
    go_to(page, "How to read it")
    expect(page.get_by_role("heading", name="How to read it")).to_be_visible()
    expect(page.get_by_test_id("stSidebarNav")).not_to_be_in_viewport()


def test_a_phones_navigation_closes_after_the_first_photo_too(visit: Callable[..., Visit]):
    """The welcome's heading, which listened, has given way to the page's by then."""
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    choose_sample(page, "Cat")
    page.get_by_test_id("stExpandSidebarButton").click()
    go_to(page, "Open a gate")
    expect(page.get_by_role("heading", name="Open a gate", level=1)).to_be_visible()
    expect(page.get_by_test_id("stSidebarNav")).not_to_be_in_viewport()
    expect_idle(page)


def test_a_phone_has_a_list_of_a_pages_parts(visit: Callable[..., Visit]):
    """The health of the gates is ten screens below the photo."""
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    choose_sample(page, "Cat")
    page.get_by_role("button", name="On this page").click()
    parts = page.get_by_role("navigation", name="Parts of this page").get_by_role("listitem")
    expect(parts.filter(has_text="Numbers")).to_be_visible()
    parts.filter(has_text="Are these gates healthy?").click()
    expect(page.get_by_role("heading", name="Are these gates healthy?")).to_be_in_viewport()
    expect(parts).to_have_count(0)


def test_a_class_sees_larger_type_and_keys_turn_the_pages(visit: Callable[..., Visit]):
    """A clicker for slides sends Page Down and Page Up; the back row reads half as large again."""
    page = visit(viewport={"width": 1280, "height": 720}).page
    expect(page.get_by_role("button", name="Cat", exact=True)).to_be_visible()
    expect_idle(page)
    size = "parseFloat(getComputedStyle(document.querySelector('[data-testid=stMain] p')).fontSize)"
    before = page.evaluate(size)
    page.get_by_role("button", name="Present").click()
    expect(page.get_by_test_id("stSidebar")).not_to_be_visible()
    expect(page).to_have_url(re.compile("presenting=True"))
    assert page.evaluate(size) == 1.5 * before
    page.keyboard.press("PageDown")
    expect(page.get_by_role("heading", name="Open a gate", level=1)).to_be_visible()
    expect_idle(page)
    page.keyboard.press("PageUp")
    expect(page.get_by_role("heading", name="What did the gates do?")).to_be_visible()
    expect_idle(page)
    page.get_by_role("button", name="End").click()
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    assert page.evaluate(size) == before
