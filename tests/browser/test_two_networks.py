"""Two networks before an uploaded photo: picked, compared, one class for both, and the link."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from se_viz import load_network, open_image
from se_viz.experiments import analyse

from .steps import PATIENCE, expect_idle, figure, go_to, open_visit, upload

pytestmark = pytest.mark.browser

NAMES = ("se_resnet50_half_imagenette", "se_efficientnet_lite0")


def test_two_networks_are_compared_on_a_photo_of_ones_own(
    browser: Browser, address: str, photo: Path
):
    """Both answers are the library's; a class that both know is explained for both, and the link
    opens the same comparison with a sample.
    """
    networks = [load_network(name, "cpu") for name in NAMES]
    image = open_image(photo)
    with open_visit(browser, address) as visit:
        page = visit.page
        upload(page, photo, area="stMain")
        go_to(page, "Two networks")
        picker = page.get_by_role("combobox", name=re.compile("Second network"))
        picker.click()
        page.get_by_role("option", name=networks[1].card.title, exact=True).click()
        expect(page.get_by_role("heading", name="What differs")).to_be_visible()
        expect(page.get_by_text(re.compile("^Cost"))).to_be_visible()
        expect_idle(page)
        for network in networks:
            index, share = analyse(network, image).top(1)[0]
            # The text of a bar: the class and its share, whose last digit may vary.
            words = re.compile(rf"^{re.escape(network.classes[index])} · {int(100 * share)}\.")
            expect(page.get_by_text(words).first).to_be_visible()
        for key in ("pair-answers", "pair-gates", "pair-first", "pair-second"):
            expect(figure(page, key)).to_be_visible()

        page.get_by_role("radio", name="one class").click()
        expect(page.get_by_role("combobox", name=re.compile("Class"))).to_be_visible()
        expect_idle(page)
        expect(page).to_have_url(re.compile(r"pair-explained=one"))
        expect(page.get_by_test_id("stException")).to_have_count(0)
        link = page.url
    # Not `open_visit`: below the path of a page Streamlit first looks for its server in vain, and
    # Chromium calls that an error.
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(link)
    expect(page.get_by_role("heading", name="Two networks")).to_be_visible()
    expect(page.get_by_text(re.compile("^Cost"))).to_be_visible()
    expect(figure(page, "pair-second")).to_be_visible()
    expect(page.get_by_role("combobox", name=re.compile("Class"))).to_be_visible()
    expect(page.get_by_text("an uploaded photo")).to_be_visible()
    expect_idle(page)
    context.close()
