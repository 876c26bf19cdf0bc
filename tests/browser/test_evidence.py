"""From a channel to the pixels that opened its gate, and to the gate without them, as a visitor
does it.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from .steps import Visit, choose_sample, expect_idle, figure, go_to

pytestmark = pytest.mark.browser


def numbers(page: Page) -> list[str]:
    """Return the three values of the test: this photo, marked pixels erased, the same shape
    elsewhere.
    """
    return page.get_by_test_id("stMetricValue").all_inner_texts()


def open_gate(page: Page) -> None:
    """Choose a sample, and open the page of one gate."""
    choose_sample(page, "Cat")
    go_to(page, "Open a gate")
    expect_evidence(page)


def expect_evidence(page: Page) -> None:
    expect(figure(page, "gate-map").locator(".heatmaplayer image")).to_have_count(1)
    expect(page.get_by_test_id("stMetricValue")).to_have_count(3)
    expect(figure(page, "gallery-gates").locator(".scatterlayer .point")).to_have_count(6)
    expect_idle(page)


def test_a_gate_is_explained_and_put_to_the_test(visit: Callable[..., Visit]):
    """A channel has a map; other pixels erased, or another channel chosen, give other numbers."""
    page = visit().page
    open_gate(page)
    channel = page.get_by_role("spinbutton", name=re.compile("Channel"))
    channel.fill("17")
    channel.press("Enter")
    expect(page.get_by_text(re.compile(r"^Channel 17 of SE_\d_\d\.$"))).to_have_count(2)
    expect_evidence(page)
    before = numbers(page)
    share = page.get_by_role("slider", name=re.compile("Erase the strongest"))
    share.focus()
    share.press("Home")
    expect(page.get_by_test_id("stMetricValue").nth(1)).not_to_have_text(before[1])
    expect_idle(page)
    after = numbers(page)
    assert (after[0], after[1] != before[1], after[2] != before[2]) == (before[0], True, True)
    expect(page.get_by_text(re.compile(r"^Without the marked pixels the gate "))).to_be_visible()
    sentence = r"The gate goes from \d\.\d{3} at the baseline to \d\.\d{3}: completeness error"
    expect(page.get_by_text(re.compile(sentence))).to_be_visible()
    expect(page.get_by_text("all 6 images of the gallery, 0 of them your own")).to_be_visible()


def choose_method(page: Page, title: str) -> None:
    """Open the list, type the beginning of its name, and take what is left."""
    page.get_by_role("combobox", name=re.compile("Method")).click()
    page.keyboard.type(title)
    page.get_by_role("option", name=re.compile(f"^{title}")).click()


def test_a_long_method_is_stopped_and_another_one_chosen(visit: Callable[..., Visit]):
    """Its place says so and the page stays; conductance has a map of the class that the network
    predicts.
    """
    page = visit().page
    open_gate(page)
    choose_method(page, "Shapley")
    page.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped. Choose something else, or go on.")).to_be_visible()
    expect_idle(page)
    choose_method(page, "Conductance")
    expect(
        page.get_by_text(
            re.compile(r" of the logit of .*, the predicted class, came through the gate")
        )
    ).to_be_visible()
    expect(figure(page, "gate-map").locator(".heatmaplayer image")).to_have_count(1)
    expect(page.get_by_text("No erasing test for this method")).to_be_visible()
