"""Where did it look: methods ticked, drawn one by one, stopped, painted anew and taken home, as a
visitor does it.
"""

import re
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from .steps import Visit, expect_idle

pytestmark = pytest.mark.browser


@pytest.fixture
def look(visit: Callable[..., Visit]) -> Page:
    """Return the page as a link from Explore opens it, with its first maps."""
    page = visit().page
    page.get_by_test_id("stMain").get_by_role("button", name="Coffee", exact=True).click()
    page.get_by_test_id("stMain").get_by_role("link", name="All methods side by side").click()
    expect(maps(page)).to_have_count(3)
    expect_idle(page)
    return page


def maps(page: Page) -> Locator:
    return page.get_by_role("img", name=re.compile(", a map$"))


def tick(page: Page, method: str) -> None:
    page.get_by_test_id("stCheckbox").filter(has_text=re.compile(f"^{method} ·")).locator(
        "label"
    ).click()


def test_methods_arrive_one_by_one_and_a_stop_keeps_what_is_done(look: Page):
    """A quick method is drawn while a slow one is computed; the slow one is unticked by the stop,
    and named.
    """
    look.get_by_text("Methods and settings", exact=True).click()
    tick(look, "KernelShap")
    expect(look.get_by_text(re.compile(r"\d+ of \d+ · about \d+ s left"))).to_be_visible()
    tick(look, "Input x Gradient")
    expect(maps(look)).to_have_count(4)
    expect(look.get_by_role("img", name="The photo without colours: no map yet")).to_have_count(1)

    look.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    expect(look.get_by_text("Stopped. No longer selected: KernelShap.")).to_be_visible()
    expect_idle(look)
    expect(maps(look)).to_have_count(4)


def test_paint_changes_and_the_numbers_go_home(look: Page):
    """A shared scale is that of the strongest map, so the others are painted anew; the file holds
    one row a map.
    """
    before = [picture.get_attribute("src") for picture in maps(look).all()]
    look.get_by_role("radio", name="One for all").click()
    expect(look.get_by_text(re.compile("^for, "))).to_be_visible()
    expect_idle(look)
    anew = [
        now.get_attribute("src") != was for now, was in zip(maps(look).all(), before, strict=True)
    ]
    assert sum(anew) == len(before) - 1

    with look.expect_download() as waiting:
        look.get_by_role("button", name="Maps as NPZ").click()
    with np.load(BytesIO(waiting.value.path().read_bytes())) as file:
        assert file["maps"].shape[0] == len(file["method"]) == len(before)
        assert file["baseline"].tolist().count("mean") == 1
