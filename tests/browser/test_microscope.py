"""From an opened block to one channel's arithmetic, step by step, as a lecturer does it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from se_viz import (
    Excitation,
    GateRecord,
    capture_gates,
    list_networks,
    load_network,
    open_gate,
    open_image,
)

from .steps import Visit, box, channel_maps, expect_idle, open_visit, upload

pytestmark = pytest.mark.browser

WORDS = ("U", "Squeeze", "FC · W₁", "ReLU", "FC · W₂", "Sigmoid", "Scale → X̃")
"""Steps of the block as the paper draws it (arXiv 1709.01507, Fig. 2 and 3)."""


@pytest.fixture(scope="module")
def opened(photo: Path) -> Callable[[str], tuple[GateRecord, Excitation]]:
    """Return a function that opens the gates of a block by the library alone."""
    network = load_network(list_networks()[0].name)
    with capture_gates(network.model) as records, torch.inference_mode():
        network.model(network.preprocess(open_image(photo)))
    return lambda block: next(
        (one, open_gate(network.model, one)) for one in records if one.block == block
    )


@pytest.fixture(scope="module")
def microscope(browser: Browser, address: str, photo: Path) -> Iterator[Visit]:
    """Return a visit that has come from a map of the opened block on Explore to that channel under
    the microscope.
    """
    with open_visit(browser, address) as visit:
        page = visit.page
        upload(page, photo, area="stMain")
        maps = channel_maps(page, "most-closed")
        maps.locator("[data-channel]").first.click()
        title = maps.locator(".head").first.text_content() or ""
        channel = re.search(r"#(\d+)", title)
        assert channel
        page.get_by_role("link", name=f"Open channel {channel[1]} of SE_").first.click()
        expect(page.get_by_role("spinbutton")).to_have_value(channel[1])
        expect(page.locator(".flow")).to_be_visible()
        expect_idle(page)
        yield visit


def go(page: Page, step: str) -> None:
    """Open one step by its name in the drawn block."""
    page.locator(".flow button").filter(has_text=step).first.click()
    expect(page.locator(".flow [aria-current=step]")).to_contain_text(step)


def number(page: Page, mark: str) -> float:
    """Return the last number of the equation that stands for something: the result."""
    text = page.locator(f".words [data-mark='{mark}'] mn").last.text_content() or ""
    return float(text.replace("−", "-"))


def shown(
    page: Page, opened: Callable[[str], tuple[GateRecord, Excitation]]
) -> tuple[GateRecord, Excitation, int]:
    """Return what the library says of the block and channel that the page shows."""
    caption = page.get_by_test_id("stCaptionContainer").filter(has_text="The arithmetic shown")
    return (
        *opened(caption.locator("code").inner_text()),
        int(page.get_by_role("spinbutton").input_value()),
    )


def test_the_block_is_drawn_as_the_paper_draws_it(microscope: Visit):
    """From U over squeeze, two layers, two functions and the scaling to what goes on."""
    assert microscope.page.locator(".flow .name").all_text_contents() == list(WORDS)


def test_the_equations_hold_the_librarys_numbers(microscope: Visit, opened: Callable):
    """Each step's result as `open_gate` gives it for the same file, to the four digits that are
    shown.
    """
    page = microscope.page
    record, excitation, channel = shown(page, opened)
    unit = int(excitation.terms(channel)[0][0])
    expected = (
        ("Squeeze", f"z{channel}", record.squeeze[0, channel]),
        ("FC · W₁", f"h{unit}", excitation.before[unit]),
        ("ReLU", f"h{unit}", excitation.hidden[unit]),
        ("FC · W₂", "logit", excitation.logit[channel]),
        ("Sigmoid", "gate", record.gate[0, channel]),
        ("Scale", "gate", record.gate[0, channel]),
    )
    for step, mark, value in expected:
        go(page, step)
        # Half a digit in the fourth place; gates near 0 are shown with two digits.
        assert number(page, mark) == pytest.approx(
            value.item(), rel=6e-4 if abs(value) > 1e-3 else 0.06
        ), step


def test_bars_of_the_logit_are_the_largest_terms(microscope: Visit, opened: Callable):
    """The first bars are the largest terms, largest first; the rest is one bar, and the last is
    the logit.
    """
    page = microscope.page
    _, excitation, channel = shown(page, opened)
    go(page, "FC · W₂")
    units, values = excitation.terms(channel)
    for unit, value in zip(units[:7].tolist(), values[:7].tolist(), strict=True):
        text = page.locator(f".picture text[data-mark='h{unit}']").last.text_content() or ""
        # Three digits are shown.
        assert float(text.replace("−", "-")) == pytest.approx(value, rel=6e-3)
    assert (
        page.locator(".picture text[data-mark=rest]").first.text_content()
        == f"{len(units) - 7} other units"
    )


def test_keys_step_and_space_plays_and_pauses(microscope: Visit):
    """A lecturer's hands are on the keyboard: arrows step, space plays from there, and space again
    holds it.
    """
    page = microscope.page
    go(page, "U")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".flow [aria-current=step]")).to_contain_text("Squeeze")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".controls .where")).to_have_text("Step 1 of 7")
    page.locator(".microscope").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    # By itself, after some seconds.
    expect(page.locator(".controls .where")).to_have_text("Step 2 of 7")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_pointing_at_a_number_marks_its_bar(microscope: Visit):
    """A term of the equation and its bar are one thing in two places."""
    page = microscope.page
    go(page, "FC · W₂")
    term = page.locator(".words [data-mark^=h]").nth(1)
    mark = term.get_attribute("data-mark")
    term.hover()
    expect(page.locator(f".picture rect[data-mark={mark}]")).to_have_class(re.compile("lit"))
    expect(page.locator(".note")).to_contain_text(f"Hidden unit {(mark or '')[1:]}: ")


def test_a_click_on_a_squeeze_opens_its_channel_and_keeps_the_step(microscope: Visit):
    """Following who turned whom up must not send a reader back to the start."""
    page = microscope.page
    go(page, "Squeeze")
    place = box(page.locator(".picture .target").last)
    page.mouse.move(place["x"] + 0.25 * place["width"], place["y"] + 20)
    expect(page.locator(".note")).to_contain_text("Click the bar to open it.")
    pointed = re.search(r"Channel (\d+): z = ", page.locator(".note").inner_text())
    assert pointed
    page.mouse.down()
    page.mouse.up()
    expect(page.get_by_role("spinbutton")).to_have_value(pointed[1])
    expect(page.locator(".controls .where")).to_have_text("Step 2 of 7")
