"""From a photo to what came through the gates, and to the channel that carried it, as a visitor
does it.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from .steps import Visit, choose_sample, click_mark, expect_idle, figure, go_to

pytestmark = pytest.mark.browser


def test_a_rise_is_followed_from_stage_to_block_to_channel(visit: Callable[..., Visit]):
    """A sentence, bars for stages and blocks, two maps; a click on a bar opens its block below."""
    page = visit().page
    choose_sample(page, "Coffee")
    go_to(page, "Where did it look?")
    page.get_by_test_id("stMain").get_by_text("Through the gates", exact=True).click()
    expect(figure(page, "flows").locator(".bars .point")).to_have_count(10)
    expect(figure(page, "flow-blocks").locator(".bars .point")).to_have_count(16)
    for way in ("past", "through"):
        expect(figure(page, f"flow-{way}").locator(".heatmaplayer image")).to_have_count(1)
    expect(
        page.get_by_text(re.compile(r"^From a mean-coloured image to this image the logit of "))
    ).to_be_visible()
    expect(figure(page, "carriers").locator(".main-svg").first).to_be_visible()
    expect_idle(page)
    click_mark(page, "flow-blocks", figure(page, "flow-blocks").locator(".bars .point path").nth(5))
    expect(page.get_by_text(re.compile(r"channels of SE_3_3 account for half"))).to_be_visible()
    page.get_by_role("button", name=re.compile(r"^#\d+ · gate")).first.click()
    expect_idle(page)
    page.get_by_role("radio", name="Stage 3").click()
    expect(figure(page, "flow-blocks").locator(".bars .point")).to_have_count(4)
