"""A visitor's photo, a block picked in the diagram, and a switch turned."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .steps import Visit, expect_idle, figure, go_to, upload

pytestmark = pytest.mark.browser


def test_a_block_of_the_diagram_is_designed_and_comes_back(
    visit: Callable[..., Visit], photo: Path
):
    """Upload, click a box, switch its squeeze: box, answer, table and address follow; the own
    squeeze brings the own answer back.
    """
    page = visit().page
    upload(page, photo, area="stMain")
    go_to(page, "Design a block")
    boxes = page.locator(".network-map .box")
    expect(boxes).to_have_count(16)
    expect(page.get_by_text("no gate has changed")).to_be_visible()
    expect_idle(page)
    page.get_by_role("button", name=re.compile("^SE_4_2: 512 channels, 12 × 12")).click()
    expect(page.get_by_role("combobox", name=re.compile("Open block"))).to_have_value("SE_4_2")
    expect_idle(page)
    # The boxes are drawn anew, and the keyboard goes on from the same one.
    expect(page.locator(".network-map .box[aria-current]")).to_be_focused()
    main = page.get_by_test_id("stMain")
    main.get_by_role("radio", name="This block").click()
    expect(page.locator(".network-map .chosen")).to_have_count(1)
    expect_idle(page)
    main.get_by_role("radio", name="Max", exact=True).click()
    expect(page.get_by_text("KL from its own answer")).to_be_visible()
    expect(page.get_by_text("▶ max: in use")).to_be_visible()
    expect(figure(page, "bench-reaction").locator(".ytick text").first).to_have_text("✎ SE_4_2")
    expect_idle(page)
    page.wait_for_url(re.compile("bench-squeeze=max"))
    assert "bench-scope=block" in page.url
    main.get_by_role("radio", name="Own").first.click()
    expect(page.get_by_text("no gate has changed")).to_be_visible()
    expect(figure(page, "bench-reaction")).to_have_count(0)


def test_the_diagram_fits_a_phone(visit: Callable[..., Visit], photo: Path):
    """Every box can be read and touched without scrolling sideways."""
    page = visit().page
    upload(page, photo, area="stMain")
    go_to(page, "Design a block")
    boxes = page.locator(".network-map .box")
    expect(boxes).to_have_count(16)
    expect_idle(page)
    page.set_viewport_size({"width": 390, "height": 844})
    for box in boxes.all():
        place = box.bounding_box()
        assert place is not None
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= 390
        assert min(place["width"], place["height"]) >= 20
