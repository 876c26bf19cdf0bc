"""Phones and dark rooms: nothing is cut off, and everything can be read."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from .steps import Visit, box, choose_sample, expect_idle, gate_map, go_to

pytestmark = pytest.mark.browser

READABLE = 4.5
"""Contrast of text with what lies behind it that WCAG 2.2 asks for (success criterion 1.4.3)."""

WORDS = (
    ("attribution", ".colorbar text", "fill"),
    ("most-open", ".head", "color"),
    ("most-open", ".row", "color"),
)
"""Every kind of text in the figures."""


def luminance(colour: str) -> float:
    """Return the relative luminance of ``rgb(...)`` by the formula of WCAG 2.2."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def label_colours(canvas: Locator) -> list[str]:
    """Return the opaque colours of the names beside the rows of the gate map, as ``rgb(...)``."""
    return canvas.evaluate(
        """canvas => {
            const pen = canvas.getContext('2d');
            const picture = pen.getImageData(0, 0, 40 * devicePixelRatio, canvas.height).data;
            const pixelAt = (_, at) => [...picture.slice(4 * at, 4 * at + 4)];
            const pixels = Array.from({length: picture.length / 4}, pixelAt);
            const opaque = pixels.filter(pixel => pixel[3] === 255);
            return [...new Set(opaque.map(([r, g, b]) => `rgb(${r}, ${g}, ${b})`))];
        }"""
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours by WCAG 2.2: 1 for equal ones, 21 for black on
    white.
    """
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def style(element: Locator, name: str) -> str:
    """Return one computed style of the first such element, which must be one that all have."""
    # A figure may be drawn once more just then: what is no longer in the page has no styles.
    while not (value := element.first.evaluate(f"element => getComputedStyle(element).{name}")):
        element.first.wait_for()
    return value


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_figures_can_be_read(visit: Callable[..., Visit], scheme: str):
    """The page follows the visitor's scheme, and text in figures follows the page."""
    page = visit(color_scheme=scheme).page
    choose_sample(page, "Cat")
    behind = style(page.get_by_test_id("stApp"), "backgroundColor")
    assert (luminance(behind) < 0.1) == (scheme == "dark")
    assert contrast(style(page.get_by_role("heading", name="Numbers"), "color"), behind) > READABLE
    colours = label_colours(gate_map(page).locator("canvas"))
    assert colours
    assert all(contrast(colour, behind) > READABLE for colour in colours)
    for key, words, colour in WORDS:
        ink = style(page.locator(f".st-key-{key}").locator(words), colour)
        assert contrast(ink, behind) > READABLE, (key, words)


def test_a_phone_shows_everything_without_scrolling_sideways(visit: Callable[..., Visit]):
    """390 pixels is a common phone: the page fits, and the sidebar is behind its button."""
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    choose_sample(page, "Cat")
    for area in ("document.documentElement", "document.querySelector('[data-testid=stMain]')"):
        assert page.evaluate(f"{area}.scrollWidth <= {area}.clientWidth"), area
    network = page.get_by_role("combobox", name=re.compile("Network"))
    expect(network).not_to_be_in_viewport()
    page.get_by_test_id("stExpandSidebarButton").click()
    expect(network).to_be_in_viewport()


def test_photo_answer_and_all_gates_stand_on_one_projector_screen(visit: Callable[..., Visit]):
    """The point of the first page is seen without scrolling, at 1280 x 720."""
    page = visit(viewport={"width": 1280, "height": 720}).page
    choose_sample(page, "Cat")
    photo = page.get_by_role("img", name="The photo as the network sees it")
    for part in (photo, page.get_by_role("progressbar").nth(4), gate_map(page).locator("canvas")):
        place = box(part)
        assert place["y"] >= 0, part
        assert place["y"] + place["height"] <= 720, part


def test_a_page_begins_at_its_top(visit: Callable[..., Visit]):
    """With the first photo, and on the next page: what it is about stood above the window."""
    page = visit(viewport={"width": 1280, "height": 720}).page
    choose_sample(page, "Cat")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_be_in_viewport()
    page.get_by_role("button", name="Gates as JSON").scroll_into_view_if_needed()
    expect(heading).not_to_be_in_viewport()
    go_to(page, "Networks")
    expect(page.get_by_role("heading", name="Networks", level=1)).to_be_in_viewport()
    expect_idle(page)
