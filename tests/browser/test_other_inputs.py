"""A network of sound in a browser: a WAV file walks through every page."""

import re
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, FilePayload, expect
from torch import nn

from benchmarks.server import run_app

from ..support.other_inputs import NET, TimeFirst, file_for, list_networks_in_toml
from .steps import Visit, expect_idle, go_to, open_visit, pick, upload, uploader


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
    "Design a block": "Each point is a gate",
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


def test_a_file_of_signals_is_asked_about_and_takes_a_sound(visit: Visit, tmp_path: Path):
    """An ONNX file with channels last: layout, shape and way are confirmed, and its gates are
    shown for a WAV file.
    """
    page = visit.page
    nets = types.ModuleType("nets")
    exec(NET, nets.__dict__)
    path = tmp_path / "clicks.onnx"
    torch.onnx.export(
        nn.Sequential(TimeFirst(), nets.signal()).eval(),
        (torch.randn(1, 600, 1),),
        path,
        verbose=False,
        external_data=False,
        dynamo=True,
    )
    go_to(page, "Networks")
    expect_idle(page)
    uploader(page, ".onnx").set_input_files(path)
    shape = page.get_by_role("textbox", name="Shape of one input")
    expect(shape).to_have_value("600x1")
    expect_idle(page)
    pick(page, "Layout of the input", "channels last")
    expect(shape).to_have_value("1x600")
    way = page.get_by_role("combobox", name="Preprocessing")
    expect(way).to_have_value(re.compile("^waveform"))
    expect_idle(page)
    page.get_by_role("button", name="Check and use this network").click()
    expect(page.get_by_text("fits, with 4 classes: it is in use on all pages.")).to_be_visible()
    expect_idle(page)
    name, content = file_for("signal", seed=1)
    upload(page, FilePayload(name=name, mimeType="audio/wav", buffer=content))
    expect(page.get_by_text(f"Shown: {name}", exact=True)).to_be_visible()
    expect_idle(page)
    go_to(page, "Explore")
    expect_idle(page)
    expect(page.get_by_test_id("stProgress")).to_have_count(4)
