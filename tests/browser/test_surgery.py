"""From an open block to a changed answer and back, as a visitor does it."""

import re
from collections.abc import Callable
from contextlib import suppress

import pytest
from playwright.sync_api import Locator, Page, expect

from .steps import PATIENCE, Visit, box, choose_sample, expect_idle, figure, go_to, place_of

pytestmark = pytest.mark.browser


def answers(page: Page) -> Locator:
    """Return the words of the answer: a name and its numbers for each class."""
    return figure(page, "answers").locator(".annotation-text")


def choose_by_box(page: Page) -> None:
    """Draw a box over the left half of the figure of gates, the widest open, until one has been
    seen whole.

    A busy browser may draw the figure once more in the middle of one.
    """
    chosen = page.get_by_text(re.compile(r"^SE_4_6: \d+ channels$"))
    for _ in range(6):
        _drag_a_box(page)
        with suppress(AssertionError):
            expect(chosen).to_be_visible(timeout=PATIENCE / 6)
            return
    raise AssertionError("No box has chosen channels.")


def _drag_a_box(page: Page) -> None:
    plot = page.locator(".st-key-pick .nsewdrag").last
    # Hovering tries again where the figure is drawn once more after the script has ended.
    plot.hover(position={"x": 4, "y": 2})
    place = box(plot)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] - 4, steps=5)
    page.mouse.up()


def test_gates_are_picked_and_shut_and_the_old_answer_comes_back(visit: Callable[..., Visit]):
    """Open a block, pick, edit, see another top five, undo, see the old one: number by number."""
    page = visit().page
    choose_sample(page, "Cat")
    go_to(page, "Change the gates")
    expect(answers(page)).to_have_count(10)
    block = page.get_by_role("combobox", name=re.compile("Open block"))
    block.fill("SE_4_6")
    block.press("Enter")
    expect(block).to_have_value("SE_4_6")
    expect(page.get_by_text("No gate is chosen.")).to_be_visible()
    expect_idle(page)
    old = answers(page).all_text_contents()
    choose_by_box(page)
    expect_idle(page)
    page.get_by_role("button", name="Set to 0", exact=True).click()
    expect(page.get_by_text(re.compile(r"^1\. SE_4_6: \d+ channels set to 0$"))).to_be_visible()
    expect(answers(page).nth(1)).to_contain_text("→")
    expect(figure(page, "reaction").locator(".ytick text").first).to_have_text("✎ SE_4_6")
    for when in ("before", "after"):
        expect(figure(page, f"map-{when}").locator(".heatmaplayer image")).to_have_count(1)
    expect_idle(page)
    assert answers(page).all_text_contents() != old
    page.get_by_role("button", name="Undo").click()
    expect(answers(page)).to_have_text(old)
    expect(figure(page, "reaction")).to_have_count(0)


def test_a_click_picks_a_channel_and_another_one_lets_it_go(visit: Callable[..., Visit]):
    """The same point three times: in, out and in again."""
    page = visit().page
    choose_sample(page, "Cat")
    go_to(page, "Change the gates")
    expect(answers(page)).to_have_count(10)
    for choice in ("By click", "index"):
        page.get_by_test_id("stMain").get_by_role("radio", name=choice).click()
        expect_idle(page)
    expect(page.get_by_text("Click to select or deselect a channel", exact=False)).to_be_visible()
    points = page.locator(".st-key-pick .points path")
    named = page.get_by_text(re.compile(r"^SE_\d_\d: channel \d+$"))
    for count in (1, 0, 1):
        click(page, points.nth(7))
        expect_idle(page)
        if named.count() != count:  # Plotly drew the figure anew between the press and its end.
            click(page, points.nth(7))
        expect(named).to_have_count(count)
        expect_idle(page)


def click(page: Page, point: Locator) -> None:
    """Click a point, once the figure says that it is there."""
    # The last: while Plotly draws the figure anew, there are two.
    layer = page.locator(".st-key-pick .nsewdrag").last
    # Hovering tries again where the figure is drawn once more after the script has ended.
    layer.hover(position={"x": 4, "y": 2})
    place = place_of(point)
    layer.hover(position=place)
    expect(page.locator(".st-key-pick .hoverlayer .hovertext")).to_be_visible()
    layer.click(position=place)
    page.wait_for_timeout(500)  # Until the app has heard of it.


def test_cause_and_effect_stand_on_one_screen(visit: Callable[..., Visit]):
    """At 1280 x 720 all that is pressed and the answer are seen at once; one slider changes every
    gate of the open block, and the answer beside it follows.
    """
    page = visit(viewport={"width": 1280, "height": 720}).page
    choose_sample(page, "Cat")
    go_to(page, "Change the gates")
    expect(answers(page)).to_have_count(10)
    expect_idle(page)
    names = ("Set to 0", "Set to 1", "Set to their mean", "Set to 0.5", "Multiply by 0.5")
    buttons = [page.get_by_role("button", name=name, exact=True) for name in names]
    slider = page.get_by_role("slider", name="All its gates times")
    for part in (*buttons, slider, figure(page, "answers")):
        place = box(part.last)
        assert place["y"] >= 0
        assert place["y"] + place["height"] <= 720
    top = box(page.locator(".st-key-pick").last)["y"]
    assert all(box(button)["y"] < top for button in buttons)
    old = answers(page).all_text_contents()
    slider.focus()
    slider.press("ArrowLeft")
    expect(page.get_by_text(re.compile(r"all channels multiplied by 0\.95$"))).to_be_visible()
    expect(answers(page).nth(1)).to_contain_text("→")
    expect_idle(page)
    assert answers(page).all_text_contents() != old


def test_a_phone_keeps_the_answer_in_sight(visit: Callable[..., Visit]):
    """It stood below all controls: whoever changed a gate saw no effect."""
    page = visit(viewport={"width": 1280, "height": 720}).page
    choose_sample(page, "Cat")
    go_to(page, "Change the gates")
    expect(answers(page)).to_have_count(10)
    page.get_by_test_id("stSidebarHeader").hover()
    page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
    page.set_viewport_size({"width": 390, "height": 844})
    answer = page.locator(".st-key-answer")
    button = page.get_by_role("button", name="Set to 0", exact=True)
    expect(answer).to_be_in_viewport()
    expect_idle(page)
    page.get_by_role("radio", name="All", exact=True).click(force=True)
    expect(button).to_be_enabled()
    button.click(timeout=20_000)
    expect(answer.get_by_text(re.compile("^(Still|Now)"))).to_be_in_viewport()
    expect_idle(page)
    page.get_by_text("Bars: after the edits").scroll_into_view_if_needed()
    expect(answer).to_be_in_viewport()
    # In two columns again where there is room for them.
    page.set_viewport_size({"width": 1280, "height": 720})
    assert box(answer)["x"] > box(button)["x"] + 400
