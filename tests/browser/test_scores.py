"""Can these maps be trusted: scores started, stopped and shown, and a copy randomised, as a visitor does it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from .steps import Visit, choose_sample, expect_idle, figure, go_to

pytestmark = pytest.mark.browser


@pytest.fixture
def maps(visit: Callable[..., Visit]) -> Page:
    """Return the page of maps with a sample chosen."""
    page = visit().page
    choose_sample(page, "Coffee")
    go_to(page, "Where did it look")
    expect(page.get_by_role("button", name="Score these maps")).to_be_visible()
    expect_idle(page)
    return page


def test_maps_are_scored_and_a_copy_is_randomised(maps: Page):
    """A bar that can be stopped; then curves, a table and a sentence for each map; then six maps and their likeness."""
    maps.get_by_role("button", name="Score these maps").click()
    expect(maps.get_by_text(re.compile(r"\d+ of \d+ · about \d+ s left"))).to_be_visible()
    maps.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    expect(maps.get_by_role("button", name="Score these maps")).to_be_visible()
    expect_idle(maps)

    maps.get_by_role("button", name="Score these maps").click()
    expect(figure(maps, "score-curves").locator(".main-svg").first).to_be_visible()
    expect(maps.get_by_test_id("stDataFrame")).to_be_visible()
    expect(maps.get_by_text("Scores of this image only.")).to_be_visible()

    maps.get_by_role("button", name="Randomise a copy").click()
    expect(figure(maps, "sanity-steps").locator(".main-svg").first).to_be_visible()
    expect(maps.get_by_text(re.compile(r"(hardly depends|depends) (in part )?on what the network"))).to_be_visible()
    expect_idle(maps)
