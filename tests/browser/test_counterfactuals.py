"""Does it matter: from a choice to the verdict, and exact ablation started and stopped, as a
visitor does it.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from .steps import BLOCKS, Visit, choose_sample, expect_idle, figure, go_to

pytestmark = pytest.mark.browser


@pytest.fixture
def matter(visit: Callable[..., Visit]) -> Page:
    """Return the page with a sample chosen."""
    page = visit().page
    choose_sample(page, "Coffee")
    go_to(page, "Does it matter")
    expect(figure(page, "effects").locator(".main-svg").first).to_be_visible()
    expect_idle(page)
    return page


def test_a_choice_gives_a_verdict_a_plot_and_gates_against_effects(matter: Page):
    """One click: sentence, depth plot of all blocks, table; below, exact ablation runs and can be
    stopped.
    """
    expect(
        matter.get_by_text(re.compile(r"nput-dependent gating (mattered|did not matter)"))
    ).to_be_visible()
    matter.get_by_test_id("stMain").get_by_role("radio", name="Each block").click()
    expect_idle(matter)
    matter.get_by_test_id("stMain").get_by_role("radio", name="All ones").click()
    expect(matter.get_by_text("as if there were no SE block", exact=False)).to_be_visible()
    expect_idle(matter)
    expect(figure(matter, "depth").locator(".x2tick text, .xtick text")).to_have_text(BLOCKS)
    expect(matter.get_by_test_id("stDataFrame")).to_be_visible()

    matter.get_by_role("radio", name="Exact ablation").click()
    expect(matter.get_by_text(re.compile(r"\d+ of \d+ · about \d+ s left"))).to_be_visible()
    matter.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    expect(matter.get_by_text(re.compile(r"Stopped after \d+ of \d+ channels"))).to_be_visible()
    expect_idle(matter)
    matter.get_by_role("button", name="Measure the rest").click()
    expect(matter.get_by_text("Measured effect of each channel", exact=False)).to_be_visible()
    expect_idle(matter)
    expect(matter.get_by_text(re.compile(r"^Stopped after"))).to_have_count(0)
