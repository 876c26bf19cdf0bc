"""From an opened block to one channel's arithmetic, step by step, as a lecturer does it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from se_viz import Excitation, GateRecord, capture_gates, list_networks, load_network, open_gate, open_image

from .steps import Visit, box, expect_idle, figure, open_visit, upload

pytestmark = pytest.mark.browser

WORDS = ("U", "Squeeze", "FC · W₁", "ReLU", "FC · W₂", "Sigmoid", "Scale → X̃")
"""Steps of the block as the paper draws it (arXiv 1709.01507, Fig. 2 and 3)."""


@pytest.fixture(scope="module")
def opened(photo: Path) -> Callable[[str, int], tuple[GateRecord, Excitation]]:
    """Return a function that opens the gates of a block by the library alone."""
    network = load_network(list_networks()[0].name)
    with capture_gates(network.model) as records:
        network.model(network.preprocess(open_image(photo)))
    return lambda block: next((one, open_gate(network.model, one)) for one in records if one.block == block)


@pytest.fixture(scope="module")
def microscope(browser: Browser, address: str, photo: Path) -> Iterator[Visit]:
    """Return a visit that has come from a map of the opened block on Explore to that channel under the microscope."""
    with open_visit(browser, address) as visit:
        page = visit.page
        upload(page, photo, area="stMain")
        maps = figure(page, "most-closed")
        maps.scroll_into_view_if_needed()
        place = box(maps.locator(".nsewdrag").first)
        page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        title = maps.locator(".annotation-text").first.text_content() or ""
        channel = re.search(r"#(\d+)", title)
        assert channel
        page.get_by_role("link", name=f"Open channel {channel[1]} of SE_").click()
        expect(page.get_by_role("spinbutton")).to_have_value(channel[1])
        expect(page.locator(".flow")).to_be_visible()
        expect_idle(page)
        yield visit


def go(page: Page, step: str) -> None:
    """Open one step by its name in the drawn block."""
    page.locator(".flow button").filter(has_text=step).first.click()
    expect(page.locator(".flow [aria-current=step]")).to_contain_text(step)


def numbers(page: Page) -> list[float]:
    """Return all numbers of the equation that this channel's values stand in."""
    text = page.locator(".words .maths").nth(1).inner_text().replace("−", "-")
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)]


def shown(page: Page, opened: Callable) -> tuple[GateRecord, Excitation, int]:
    path = page.get_by_test_id("stCaptionContainer").filter(has_text="The arithmetic shown").locator("code")
    return (*opened(path.inner_text()), int(page.get_by_role("spinbutton").input_value()))
