"""Stage by stage: a map at every stage, both sides of a gate, and the gates alone, as a visitor
sees them.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from .steps import Visit, box, choose_sample, click_mark, expect_idle, figure, go_to

pytestmark = pytest.mark.browser

STAGES = [f"stage-{stage}" for stage in (2, 3, 4, 5)]


def open_view(page: Page) -> None:
    """Choose a sample, and open the view."""
    choose_sample(page, "Cat")
    go_to(page, "Where did it look?")
    page.get_by_test_id("stMain").get_by_text("Stage by stage", exact=True).click()
    expect(figure(page, "vector-class").locator(".heatmaplayer image")).to_have_count(1)
    expect_idle(page)


def test_a_channel_behind_the_difference_is_opened_under_the_microscope(
    visit: Callable[..., Visit],
):
    """Four stages stand side by side; the largest maker of the difference is one click and one
    link away.
    """
    page = visit().page
    open_view(page)
    places = [box(figure(page, stage)) for stage in STAGES]
    assert len({round(place["y"]) for place in places}) == 1
    assert [place["x"] for place in places] == sorted(place["x"] for place in places)
    # From bottom to top, as the axis runs.
    label = figure(page, "makers").locator(".ytick text").last.text_content()
    channel = re.match(r"#(\d+) · s = \d\.\d\d", label or "")
    assert channel is not None
    click_mark(page, "makers", figure(page, "makers").locator(".barlayer .point path").first)
    link = page.get_by_role(
        "link", name=re.compile(rf"Open a gate: channel {channel[1]} of SE_\d_\d")
    )
    expect(link).to_be_visible()
    expect_idle(page)
    link.click()
    expect(page.get_by_role("spinbutton", name=re.compile("Channel"))).to_have_value(channel[1])


def test_the_slider_of_z_keeps_fewer_channels(visit: Callable[..., Visit]):
    """Beyond every gate stands a sentence, not an empty picture."""
    page = visit().page
    open_view(page)
    slider = page.get_by_role("slider", name=re.compile("^Z"))
    slider.focus()
    slider.press("End")
    expect(
        page.get_by_text(re.compile(r"^No channel passes: the widest gate of this block is"))
    ).to_be_visible()
    slider.press("Home")
    expect(figure(page, "vector-map").locator(".heatmaplayer image")).to_have_count(1)
    expect(page.get_by_text(re.compile(r"does not depend on the class"))).to_be_visible()


def choose_side(page: Page, method: str) -> None:
    """Choose a method for both sides of the gates, as by hand."""
    picker = page.get_by_role("combobox", name="Method").nth(1)
    picker.focus()
    # By the keyboard: open, its list hides all other pickers.
    page.keyboard.type(method)
    page.keyboard.press("Enter")
    expect(picker).to_have_value(method)


def test_a_long_method_at_a_block_can_be_stopped(visit: Callable[..., Visit]):
    """It says how long it takes before it begins; its panel then shows what it showed first."""
    page = visit().page
    open_view(page)
    choose_side(page, "Feature Ablation")
    expect(
        page.get_by_text(
            re.compile(r"^Feature Ablation takes .* for both sides; the result is cached")
        )
    ).to_be_visible()
    page.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped. Choose something else, or go on.")).to_be_visible()
    choose_side(page, "Grad-CAM")
    expect(figure(page, "side-T").locator(".heatmaplayer image")).to_have_count(1)
    choose_side(page, "Internal Influence")
    expect(page.get_by_text(re.compile(r"^There is no difference by channel"))).to_be_visible()
    expect(figure(page, "side-X").locator(".heatmaplayer image")).to_have_count(1)
    expect(figure(page, "side-T")).to_have_count(0)
