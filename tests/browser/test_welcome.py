"""The first page before the first click: a network at work, then the visitor's own photo."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from .steps import Visit, box, expect_answer, expect_open, gate_map

pytestmark = pytest.mark.browser

SAMPLES = ["Cat", "Coffee", "Rocket", "Astronaut", "Temple", "Flower"]
MOST_TABS = 10


def test_a_newcomer_sees_a_network_at_work_and_chooses_by_a_picture(visit: Callable[..., Visit]):
    """Gates, answer and map stand on the first screen of 1280 x 720, and all samples in one row."""
    page = visit(viewport={"width": 1280, "height": 720}).page
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text("church · 88.0%")).to_be_in_viewport()
    gates = page.locator(".st-key-first-look canvas")
    expect(gates).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("img", name="Where “church” came from")).to_be_in_viewport(ratio=1)
    cards = [main.get_by_role("button", name=name, exact=True) for name in SAMPLES]
    assert len({box(card)["y"] for card in cards}) == 1
    # The button's area lies over its picture.
    main.get_by_role("img", name="Sample: Rocket").click(force=True)
    expect_answer(page)
    expect(page.get_by_text("Shown: Rocket", exact=True)).to_be_visible()
    page.get_by_role("radio", name="Samples").click()
    side = page.get_by_test_id("stSidebar")
    side.get_by_role("img", name="Sample: Coffee").click(force=True)
    expect(page.get_by_text("Shown: Coffee", exact=True)).to_be_visible()


def test_a_gate_of_the_first_page_opens_with_its_photo(visit: Callable[..., Visit]):
    """The sample becomes the photo, and the block that was clicked is open."""
    page = visit().page
    page.locator(".st-key-first-look").get_by_role("option", name="SE_4_3:").click()
    expect_answer(page)
    expect(page.get_by_text("Shown: Temple", exact=True)).to_be_visible()
    expect(gate_map(page)).to_be_visible()
    expect_open(page, "SE_4_3")


def test_a_sample_is_few_tabs_away(visit: Callable[..., Visit]):
    """Past the navigation and to the samples by two links, and Enter chooses."""
    page = visit().page
    expect(page.get_by_test_id("stMain").get_by_role("button", name="Cat")).to_be_visible()
    tabs = 0
    for words in ("Skip to main content", "try yours", "Cat"):
        while words not in page.evaluate("document.activeElement.innerText").split("\n")[-1]:
            page.keyboard.press("Tab")
            tabs += 1
            assert tabs <= MOST_TABS, page.evaluate("document.activeElement.outerHTML")
        page.keyboard.press("Enter")
    expect_answer(page)
    expect(page.get_by_text("Shown: Cat", exact=True)).to_be_visible()
