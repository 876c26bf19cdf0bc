"""A page without a mouse: Tab goes as the page is read, arrows and Enter choose, and nothing holds
the focus.
"""

import re
from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from .steps import Visit, choose_sample, expect_answer, expect_idle, figure

pytestmark = pytest.mark.browser

MOST = 60
"""More stops than this page has, the sidebar's with it."""


def walk(page: Page, key: str, role: Literal["button", "link", "radio"], *names: str) -> None:
    """Press a key once for each of these controls, which gets the focus in turn, in sight and with
    a frame.
    """
    for name in names:
        page.keyboard.press(key)
        control = page.get_by_test_id("stMain").get_by_role(role, name=re.compile(name)).first
        expect(control).to_be_focused()
        expect(control).to_be_in_viewport()
        if role == "radio":
            expect(control).not_to_have_css("box-shadow", "none")


def test_gates_are_changed_without_a_mouse(visit: Callable[..., Visit]):
    """From the block past every control to the button that shuts its gates, back by undo, and out
    of the page.
    """
    page = visit().page
    page.get_by_test_id("stMain").get_by_role("button", name="Cat", exact=True).press("Enter")
    expect_answer(page)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Change the gates").press("Enter")
    expect(figure(page, "answers").locator(".annotation-text")).to_have_count(10)
    block = page.get_by_role("combobox", name="Open block")
    block.focus()
    page.keyboard.type("SE_4_6")
    page.keyboard.press("Enter")
    expect(block).to_have_value("SE_4_6")
    expect_idle(page)
    # The help mark of the slider comes first.
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("slider", name="All its gates times")).to_be_focused()
    walk(page, "Tab", "radio", "By box")
    walk(page, "ArrowRight", "radio", "By click", "By value", "One", "All")
    page.keyboard.press("Enter")
    expect(page.get_by_text("SE_4_6: all channels")).to_be_visible()
    expect_idle(page)
    walk(page, "Tab", "radio", "This block")
    walk(page, "Tab", "button", "Set to 0")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1. SE_4_6: all channels set to 0")).to_be_visible()
    expect_idle(page)
    # The focus has stayed where the work is.
    walk(page, "Tab", "button", "Set to 1", "Set to their mean")
    page.keyboard.press("Tab")
    expect(page.get_by_role("slider", name="Amount")).to_be_focused()
    walk(page, "Tab", "button", r"Set to 0\.5", r"Multiply by 0\.5")
    walk(page, "Tab", "radio", "^gate")
    walk(page, "Tab", "button", "Download plot", "Download as HTML")
    walk(page, "Tab", "link", "Open a gate: channel")
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_enabled()
    reach(page, "Undo")
    page.keyboard.press("Enter")
    expect(figure(page, "reaction")).to_have_count(0)
    expect_idle(page)
    reach(page, "Explore")


def test_tab_leads_through_a_table_and_opens_nothing(visit: Callable[..., Visit]):
    """The cells of a table take the focus; only a press on a name opens another block."""
    page = visit().page
    choose_sample(page, "Cat")
    block = page.get_by_role("combobox", name="Open block")
    opened = block.input_value()
    table = page.get_by_test_id("stDataFrame").first
    page.get_by_role("button", name="Fullscreen: Gates by block").focus()
    inside = "table => table.contains(document.activeElement)"
    stops = 0
    while stops < 2 or table.evaluate(inside):
        page.keyboard.press("Tab")
        stops += 1
        assert stops < MOST
    expect_idle(page)
    assert stops > 4
    assert block.input_value() == opened


def reach(page: Page, words: str) -> None:
    """Press Tab until what has the focus holds these words; at the page's end it goes on from its
    beginning.
    """
    for _ in range(MOST):
        page.keyboard.press("Tab")
        if words in page.evaluate("document.activeElement.innerText"):
            return
    pytest.fail(f"Tab does not come to {words}")
