"""The very first request to a server asks for a page by its own address, as from a bookmark."""

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.server import run_app
from tests import ROOT

from .steps import PATIENCE, expect_idle

pytestmark = pytest.mark.browser


def test_the_first_visit_may_begin_on_any_page(browser: Browser, monkeypatch: pytest.MonkeyPatch):
    """A folder named `pages` is the whole app to Streamlit until a run has called `st.navigation`:
    none has yet.
    """
    # Threads that wait for each other cost as much as those that compute.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with run_app() as server:
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(PATIENCE)
        page.goto(f"{server.url}/counterfactuals")
        expect(page.get_by_role("button", name="Cat", exact=True)).to_be_visible()
        expect_idle(page)
        expect(page.get_by_role("dialog")).to_have_count(0)
        titles = ["Explore", "Open a gate", "Change the gates", "Design a block", "Does it matter?"]
        links = page.get_by_test_id("stSidebarNav").get_by_role("link")
        titles += ["Where did it look?", "Two networks", "What SE buys", "Networks"]
        titles += ["How to read it"]
        expect(links).to_contain_text(titles)
        page.get_by_test_id("stMain").get_by_role("button", name="Cat", exact=True).click()
        expect(page.get_by_role("heading", name="Does it matter?", exact=True)).to_be_visible()
        assert page.url.partition("?")[0] == f"{server.url}/counterfactuals"
        page.close()


def test_two_first_visits_at_once_both_get_the_app(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
):
    """A class opens its bookmarks on a server that has just started: none is left with a bare page
    that asks for a network and has no place to choose one.
    """
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    count = len([*(ROOT / "pages").glob("*.py")])
    with run_app() as server:
        visits = [browser.new_page(viewport={"width": 1440, "height": 1000}) for _ in range(4)]
        for page, path in zip(visits, ("attribution", "", "counterfactuals", ""), strict=True):
            page.set_default_timeout(PATIENCE)
            page.goto(f"{server.url}/{path}", wait_until="commit")
        for page in visits:
            expect(page.get_by_role("button", name="Cat", exact=True)).to_be_visible()
            expect(page.get_by_test_id("stSidebarNav").get_by_role("link")).to_have_count(count)
            expect_idle(page)
            page.close()
