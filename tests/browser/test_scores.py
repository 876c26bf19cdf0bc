"""Can these maps be trusted: scores started, stopped and shown, and a copy randomised, as a
visitor does it.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

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
    """A bar that can be stopped; then curves, a table and a sentence for each map; then six maps
    and their likeness.
    """
    maps.get_by_role("button", name="Score these maps").click()
    expect(maps.get_by_text(re.compile(r"\d+ of \d+ · about \d+ s left"))).to_be_visible()
    maps.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    maps.get_by_role("button", name="Go on").click()
    expect(figure(maps, "score-curves").locator(".main-svg").first).to_be_visible()
    expect(maps.get_by_test_id("stDataFrame")).to_be_visible()
    expect(maps.get_by_text("Scores of this image only")).to_be_visible()
    expect_idle(maps)

    maps.get_by_role("button", name="Randomise a copy").click()
    expect(figure(maps, "sanity-steps").locator(".main-svg").first).to_be_visible()
    verdict = re.compile(
        r"depends (in part )?on the learned weights|hardly changes with the weights|cannot be told"
    )
    expect(maps.get_by_text(verdict).first).to_be_visible()
    expect_idle(maps)


def test_a_tick_takes_the_colour_of_a_curve_and_gives_it_back(maps: Page):
    """The best map is in the first row; what knows nothing, in the second, cannot be ticked."""
    maps.get_by_role("button", name="Score these maps").click()
    legend = figure(maps, "score-curves").locator(".legendtext")
    table = maps.get_by_test_id("stDataFrame")
    grey = ["Random pixels", "Random patches", "Centred blob"]
    expect(legend).to_have_text(["Grad-CAM, stage 5", "Saliency", "Integrated Gradients", *grey])
    tick(table, 1)
    expect(legend).to_have_text(["Saliency", "Integrated Gradients", "Other maps", *grey])
    tick(table, 2)
    expect(legend).to_have_text(["Saliency", "Integrated Gradients", "Other maps", *grey])
    tick(table, 1)
    expect(legend).to_have_text(["Grad-CAM, stage 5", "Saliency", "Integrated Gradients", *grey])


def tick(table: Locator, row: int) -> None:
    """Click the tick of a row, which is drawn on a canvas; the first has number 1."""
    expect_idle(table.page)
    table.click(position={"x": 16, "y": 35 * row + 17})
    expect_idle(table.page)
