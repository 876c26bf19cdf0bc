"""Are the gates healthy: the answer at the foot of Explore, on a phone in the dark as well."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .steps import (
    Visit,
    box,
    channel_maps,
    expect_answer,
    expect_idle,
    expect_open,
    figure,
    gate_map,
    upload,
)

pytestmark = pytest.mark.browser


def verdict(page: Page) -> str:
    """Return the sentences on the network, once they are there."""
    heading = page.get_by_role("heading", name="Are these gates healthy?")
    expect(heading).to_be_visible()
    expect_idle(page)
    return page.get_by_test_id("stAlert").inner_text()


def test_the_gates_are_judged_and_a_limit_can_be_moved(visit: Callable[..., Visit], photo: Path):
    """The bundled network's last blocks are near 1, as the paper's are; a slider to its end flags
    every block.
    """
    page = visit().page
    upload(page, photo, area="stMain")
    assert "Saturated: SE_5_2, SE_5_3." in verdict(page)
    page.get_by_text("Move the limits").click()
    slider = page.get_by_role("slider", name=re.compile("Same for every image"))
    slider.press("End")
    expect(page.get_by_test_id("stAlert")).to_contain_text("All 16 blocks are flagged.")
    # A click on what is about to be drawn anew is lost.
    expect_idle(page)
    page.get_by_text("Every block in words").click()
    expect(page.get_by_role("listitem").filter(has_text=re.compile("^SE_"))).to_have_count(16)


def test_a_flagged_block_is_two_clicks_from_the_microscope(
    visit: Callable[..., Visit], photo: Path
):
    """The fourth row of the list is SE_3_1: the page opens it above too, and the link takes it
    along.
    """
    page = visit().page
    upload(page, photo, area="stMain")
    verdict(page)
    table = page.get_by_test_id("stDataFrame").last.locator(".dvn-scroller")
    table.scroll_into_view_if_needed()
    # Its name, below the head, the middle of the fourth row of 35 pixels.
    table.click(position={"x": 40, "y": 35 * 4 + 17})
    expect_open(page, "SE_3_1")
    expect_idle(page)
    page.get_by_role("link", name=re.compile(r"Open a gate: channel \d+ of SE_3_1")).last.click()
    expect(page.locator(".flow")).to_be_visible()
    expect(page.get_by_role("combobox", name=re.compile("Open block"))).to_have_value("SE_3_1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_parts_of_an_own_photo_one_below_the_other(
    visit: Callable[..., Visit], photo: Path, scheme: str
):
    """390 pixels: photo, answer, gates, attribution and health stand in a column, and none covers
    another.
    """
    page = visit(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme=scheme
    ).page
    page.get_by_test_id("stMain").locator("input[type=file]").set_input_files(photo)
    expect_answer(page)
    verdict(page)
    expect(page.get_by_test_id("stDataFrame")).to_have_count(2)
    expect(page.get_by_test_id("stProgress")).to_have_count(5)
    parts = [
        page.get_by_role("img", name="The photo as the network sees it"),
        *page.get_by_test_id("stProgress").all(),
        gate_map(page),
        figure(page, "attribution"),
        channel_maps(page, "most-open"),
        channel_maps(page, "most-closed"),
        *page.get_by_test_id("stDataFrame").all(),
        page.get_by_text("Every block in words"),
    ]
    boxes = [box(part) for part in parts]
    assert len(boxes) == 1 + 5 + 4 + 2 + 1
    for upper, lower in pairwise(boxes):
        assert upper["y"] + upper["height"] <= lower["y"] + 1
    assert all(one["x"] >= 0 and one["x"] + one["width"] <= 390 for one in boxes)
