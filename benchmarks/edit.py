"""Edit to answer: from the click that changes gates until the new answer is painted in a browser.

python -m benchmarks.edit [--repeats 10]
"""

import argparse

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table, spread
from benchmarks.server import launch_chromium, run_app

HEAD = (
    "all gates of a block",
    "click to new answer painted, s",
    "slowest, s",
    "click to page at rest, s",
)
"""What the columns of the table hold; spreads are quartiles."""
BUTTONS = ("Set to 0", "Set to 1", "Undo")
"""What is clicked in turn: two edits whose answers no cache knows, and a step back to one that it
does."""
BLOCKS = [
    f"SE_{stage}_{unit}"
    for stage, units in ((5, 3), (4, 6), (3, 4), (2, 3))
    for unit in range(1, units + 1)
]
"""Edited one after the other; all but the first count."""
_AT_REST = '[data-test-script-state="notRunning"]'
# The clock starts with the click and stops one frame after the first frame in which any number of
# the answer differs.
_WATCH = """() => {
  const texts = () => [...document.querySelectorAll('.st-key-answers .annotation-text')];
  const read = () => texts().map(text => text.textContent).join();
  const before = read();
  window.painting = new Promise((resolve, reject) => {
    document.addEventListener('click', () => {
      const start = performance.now();
      const look = () => {
        const seconds = () => (performance.now() - start) / 1000;
        if (read() !== before) requestAnimationFrame(() => resolve(seconds()));
        else if (seconds() > 60) reject(new Error('No new answer within a minute'));
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
      window.rest = new Promise(settle => {
        let ran = false;
        const wait = () => {
          const rests = document.querySelector('%s');
          ran = ran || !rests;
          if (ran && rests) settle((performance.now() - start) / 1000);
          else requestAnimationFrame(wait);
        };
        requestAnimationFrame(wait);
      });
    }, {capture: true, once: true});
  });
}""".replace("%s", _AT_REST)


def main(words: list[str] | None = None) -> None:
    """Measure every button in one visit, and print the table and the machine."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.edit", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--repeats", type=int, default=10, help="blocks to edit, 2 to 15 (default: 10)"
    )
    repeats = parser.parse_args(words).repeats
    machine = describe_machine()
    with run_app() as server, sync_playwright() as playwright:
        page = launch_chromium(playwright).new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(180_000)
        page.goto(server.url)
        _open(page)
        times: dict[str, list[tuple[float, float]]] = {button: [] for button in BUTTONS}
        for block in BLOCKS[: repeats + 1]:
            _choose(page, block)
            for button in BUTTONS:
                times[button].append(_press(page, button))
    # The first of each draws figures and loads Captum for the first time.
    print(as_table(HEAD, [_row(button, times[button][1:]) for button in BUTTONS]))
    print(f"\n{repeats} edits a row, each of another block, model warm.\n{machine.show()}")


def _row(button: str, times: list[tuple[float, float]]) -> list[str]:
    answers, rests = ([pair[place] for pair in times] for place in (0, 1))
    return [button, spread(answers).show(2), f"{max(answers):.2f}", spread(rests).show(2)]


def _open(page: Page) -> None:
    page.get_by_test_id("stMain").get_by_role("button", name="Cat", exact=True).click()
    # To leave before the page has heard of the image would leave without it.
    page.get_by_text("Shown: Cat", exact=True).wait_for()
    page.locator(_AT_REST).wait_for()
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Change the gates").click()
    page.locator(".st-key-answers .annotation-text").first.wait_for()
    page.locator(_AT_REST).wait_for()
    page.get_by_test_id("stMain").get_by_text("All", exact=True).click()
    page.get_by_text("Where", exact=True).wait_for()


def _choose(page: Page, block: str) -> None:
    reset = page.get_by_role("button", name="Reset")
    if reset.is_enabled():
        reset.click()
    picker = page.get_by_role("combobox", name="Open block")
    picker.fill(block)
    picker.press("Enter")
    expect(picker).to_have_value(block)
    page.get_by_text("No edits yet").wait_for()
    page.locator(_AT_REST).wait_for()


def _press(page: Page, button: str) -> tuple[float, float]:
    """Click a button; return the seconds until the answer was painted, and until the page was at
    rest.
    """
    page.evaluate(_WATCH)
    page.get_by_test_id("stMain").get_by_role("button", name=button, exact=True).click()
    return page.evaluate("window.painting"), page.evaluate("window.rest")


if __name__ == "__main__":
    main()
