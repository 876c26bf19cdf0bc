"""A network of sound in a browser: a WAV file walks through every page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FilePayload, expect

from benchmarks.server import run_app

from ..support.other_inputs import NET, file_for, list_networks_in_toml
from .steps import Visit, expect_idle, go_to, open_visit


@pytest.fixture(scope="module")
def visit(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """Return a visit of an app whose operator has listed a network of signals."""
    folder = tmp_path_factory.mktemp("listed")
    (folder / "net.py").write_text(NET)
    (folder / "se_viz.toml").write_text(list_networks_in_toml())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("SE_VIZ_CONFIG", str(folder / "se_viz.toml"))
        with run_app() as server, open_visit(browser, f"{server.url}/?network=signal") as visit:
            yield visit


def test_a_sound_is_dropped_and_its_gates_are_shown(visit: Visit):
    """The page asks for a WAV file, and for no photo."""
    page = visit.page
    drop = page.get_by_test_id("stMain").get_by_text("Drop a WAV file here (up to 20 MB)")
    expect(drop).to_be_visible()
    expect_idle(page)
    # Until the run ends, the place for photos may still be in the document.
    expect(page.get_by_test_id("stMain").locator("input[type=file]")).to_have_count(1)
    name, content = file_for("signal")
    file = FilePayload(name=name, mimeType="audio/wav", buffer=content)
    page.get_by_test_id("stMain").locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text(f"Shown: {name}", exact=True)).to_be_visible()
    expect_idle(page)
    expect(page.get_by_test_id("stProgress")).to_have_count(4)
    expect(page.get_by_role("heading", name="Another input beside it")).to_be_visible()


WALK = {
    "Open a gate": "Which channels move this gate?",
    "Change the gates": "No gate is chosen.",
    "Does it matter?": "A gate is not importance",
    "Where did it look?": "Can these maps be trusted?",
    "Networks": "Your own network",
}
"""Each page, and words far down on it."""


@pytest.mark.parametrize("title", WALK)
def test_each_page_shows_it(visit: Visit, title: str):
    """Without an error."""
    page = visit.page
    go_to(page, title)
    expect(page.get_by_test_id("stMain").get_by_text(WALK[title]).first).to_be_attached()
    expect_idle(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


def test_another_sound_takes_its_place(visit: Visit):
    """By the sidebar; the one before is in the gallery."""
    page = visit.page
    go_to(page, "Explore")
    expect_idle(page)
    name, content = file_for("signal", 1)
    file = FilePayload(name=name, mimeType="audio/wav", buffer=content)
    page.get_by_test_id("stSidebar").locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text(f"Shown: {name}", exact=True)).to_be_visible()
    expect_idle(page)
    expect(page.get_by_role("heading", name="What did the gates do?")).to_be_visible()


def test_a_broken_sound_is_named(visit: Visit):
    """In one sentence; the one before stays."""
    page = visit.page
    file = FilePayload(name="broken.wav", mimeType="audio/wav", buffer=b"hello")
    page.get_by_test_id("stSidebar").locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("The file is no WAV file that can be read.")).to_be_visible()
    expect(page.get_by_text("Shown: tone1.wav", exact=True)).to_be_visible()
