"""*How to read it*: reached from a picture, at its paragraph, without losing the photo."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from .steps import Visit, choose_sample, expect_idle, go_to

pytestmark = pytest.mark.browser

TOP = """id => document.getElementById(id).getBoundingClientRect().top
    - document.querySelector('[data-testid=stMain]').getBoundingClientRect().top"""


def expect_passage(page: Page, name: str, anchor: str) -> None:
    """Wait until a passage stands at the top of the window, below the page's head."""
    expect(page.get_by_role("heading", name=name)).to_be_in_viewport()
    page.wait_for_function(f"0 <= ({TOP})('{anchor}') && ({TOP})('{anchor}') < 120")


def test_a_picture_leads_to_its_paragraph_and_keeps_the_photo(visit: Callable[..., Visit]):
    """Whoever does not understand a picture is one click from the paragraph, and one from back."""
    page = visit(viewport={"width": 1280, "height": 720}).page
    choose_sample(page, "Temple")
    page.get_by_role("link", name="How to read healthy gates").click()
    expect_passage(page, "Healthy gates", "healthy-gates")
    expect(page.get_by_text("Shown: Temple")).to_be_visible()
    expect_idle(page)
    go_to(page, "Explore")
    expect(page.get_by_text("church · ")).to_be_visible()
    page.get_by_role("link", name="How to read the gate map").click()
    expect_passage(page, "The gate map", "gate-map")
    expect_idle(page)


def test_pictures_are_whole_and_follow_the_scheme(visit: Callable[..., Visit]):
    """All five are drawn, as wide as their column, with the page's own ink."""
    page = visit(viewport={"width": 390, "height": 844}).page
    expect(page.get_by_role("button", name="Cat", exact=True)).to_be_visible()
    expect_idle(page)
    page.get_by_test_id("stExpandSidebarButton").click()
    go_to(page, "How to read it")
    pictures = page.get_by_test_id("stMain").locator(".guide-picture svg")
    expect(pictures).to_have_count(5)
    inks = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect_idle(page)
        inks.append(pictures.first.locator("text").first.evaluate("e => getComputedStyle(e).fill"))
    assert inks[0] != inks[1]
    for picture in pictures.all():
        assert picture.evaluate("e => e.getBoundingClientRect().right") <= 390
        assert picture.evaluate("e => e.getBoundingClientRect().width") > 300
