"""What a visitor does and sees, in the words of the page."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, FilePayload, FloatRect, Locator, Page, Position, expect

PATIENCE = 120_000
"""Milliseconds until a page that does not answer has failed: a busy machine is no failure."""

BLOCKS = [
    f"SE_{stage}_{unit}"
    for stage, units in ((2, 3), (3, 4), (4, 6), (5, 3))
    for unit in range(1, units + 1)
]
"""Every block of an SE-ResNet-50 by stage and position (arXiv 1709.01507, Fig. 5)."""

_INSIDE = ("data", "blob", "about", "file")


@dataclass(frozen=True, slots=True)
class Visit:
    """A page, and what it asked for and complained of since it was opened."""

    page: Page
    """The page itself."""
    requests: list[str] = field(default_factory=list)
    """Every address it asked for, over HTTP or a socket."""
    complaints: list[str] = field(default_factory=list)
    """Errors of the console and of scripts."""

    def strangers(self) -> list[str]:
        """Return the addresses that are not on this machine."""
        parts = [urlsplit(address) for address in self.requests]
        return [
            part.geturl()
            for part in parts
            if part.scheme not in _INSIDE and part.hostname != "127.0.0.1"
        ]


@contextmanager
def open_visit(browser: Browser, address: str, **options: Any) -> Iterator[Visit]:
    """Open an address as a new visitor; check at the end that nothing went wrong or elsewhere."""
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 1000}, **options})
    context.set_default_timeout(PATIENCE)
    visit = Visit(context.new_page())
    visit.page.on("request", lambda request: visit.requests.append(request.url))
    visit.page.on("websocket", lambda socket: visit.requests.append(socket.url))
    visit.page.on(
        "console", lambda line: visit.complaints.append(line.text) if line.type == "error" else None
    )
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    try:
        visit.page.goto(address)
        yield visit
    finally:
        context.close()
    assert visit.complaints == [], visit.complaints
    assert visit.strangers() == [], visit.strangers()


def upload(page: Page, file: Path | FilePayload, *, area: str = "stSidebar") -> None:
    """Give a file to the uploader of the sidebar or, before the first image, of the page itself."""
    page.get_by_test_id(area).locator("input[type=file]").set_input_files(file)
    name = file.name if isinstance(file, Path) else file["name"]
    if area == "stMain":
        expect(page.get_by_text(f"Shown: {name}", exact=True)).to_be_visible()
        expect_answer(page)


def choose_sample(page: Page, name: str) -> None:
    """Choose a sample on the welcome page, and wait for all of its answer."""
    page.get_by_test_id("stMain").get_by_role("button", name=name, exact=True).click()
    expect_answer(page)


def go_to(page: Page, title: str) -> None:
    """Open another page by its link in the sidebar."""
    # An expression minds capitals: *Networks* is no part of *Two networks*.
    name = re.compile(re.escape(title))
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()


def expect_answer(page: Page) -> None:
    """Wait until everything down to the downloads is there."""
    expect(channel_maps(page, "most-closed").locator("canvas").last).to_be_visible()
    # Until the run ends, what stood there before may still be in the document.
    expect(page.get_by_role("button", name="Gates as JSON").first).to_be_visible()
    expect_idle(page)


def expect_idle(page: Page) -> None:
    """Wait until the script has ended: a figure that is about to be replaced takes no clicks."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def figure(page: Page, key: str) -> Locator:
    """Return one figure of the page with all that is drawn in it."""
    return page.locator(f".st-key-{key} .js-plotly-plot")


def gate_map(page: Page) -> Locator:
    """Return the canvas of all gates, with what lies over it."""
    return page.locator(".st-key-gates .gate-map")


def channel_maps(page: Page, key: str) -> Locator:
    """Return the maps of a few channels of the open block, with what lies over them."""
    return page.locator(f".st-key-{key} .channel-maps")


def gate_row(page: Page, block: str) -> Locator:
    """Return what takes clicks on one block's row of the gate map."""
    return gate_map(page).get_by_role("option", name=re.compile(f"^{block}:"))


def box(element: Locator) -> FloatRect:
    """Return where an element stands on the screen."""
    # A figure that is drawn once more is away for a moment.
    while (rectangle := element.bounding_box()) is None:
        element.wait_for()
    return rectangle


_PLACE = """(mark, [layer, share]) => {
    const figure = mark.closest('.js-plotly-plot');
    if (figure === null) return null;
    const [inner, outer] = [mark, figure.querySelector(layer)]
      .map(element => element.getBoundingClientRect());
    const x = share === null ? inner.x + inner.width / 2 - outer.x : share * outer.width;
    return {x: x, y: inner.y + inner.height / 2 - outer.y};
}"""


def place_of(mark: Locator, *, layer: str = ".nsewdrag", share: float | None = None) -> Position:
    """Return where a mark of a figure stands in the layer that takes its clicks, or a share of it
    at that height.
    """
    # A figure may be drawn once more just then: the old mark stands in none.
    while (place := mark.evaluate(_PLACE, [layer, share])) is None:
        mark.wait_for()
    return place


def click_mark(
    page: Page, key: str, mark: Locator, *, layer: str = ".nsewdrag", share: float | None = None
) -> None:
    """Click a mark of a figure.

    At its place in the layer, not on the screen: while other figures are drawn the page may move,
    and a locator waits until it stands.
    """
    place = place_of(mark, layer=layer, share=share)
    figure(page, key).locator(layer).first.click(position=place)


def expect_open(page: Page, block: str) -> None:
    """Wait until the page has opened a block."""
    expect(page.get_by_role("heading", name=re.compile(f"^Block {block}$"))).to_be_visible()


def uploader(page: Page, kind: str) -> Locator:
    """Open one of the two ways to bring a network, and return its uploader."""
    tab = {".onnx": "An ONNX file", ".pt": "Weights for an architecture"}[kind]
    page.get_by_role("tab", name=tab).click()
    return page.get_by_test_id("stMain").locator(f'input[type=file][accept*="{kind}"]')


def pick(page: Page, label: str, option: str) -> None:
    """Pick an option of a select box by its first words."""
    page.get_by_role("combobox", name=label).click()
    # Also opens the list again, where the page scrolled under the click.
    page.keyboard.type(option)
    page.get_by_role("option", name=option).click()
