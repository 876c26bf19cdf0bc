import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from se_viz.images.reading import list_samples
from se_viz.ui.session.state import ChosenImage
from tests import ROOT
from tests.support.pages import clean

pytestmark = [pytest.mark.usefixtures("bundled"), pytest.mark.slow]

PAGE = ROOT / "pages" / "explore.py"


@pytest.fixture
def chosen() -> ChosenImage:
    """Return an image as a session holds it once somebody has chosen it."""
    content = list_samples()[3].path.read_bytes()
    return ChosenImage("astronaut.jpg", content, hashlib.sha256(content).hexdigest())


@pytest.fixture
def page() -> AppTest:
    """Return the Explore page in a session that has chosen a network, and no image yet."""
    page = AppTest.from_file(str(PAGE), default_timeout=300)
    page.session_state["network"] = "tiny"
    page.session_state["device"] = "cpu"
    return page


def test_without_an_image_the_page_invites_and_offers_six(page: AppTest):
    """A newcomer without a photo at hand still has something to click, and nothing is computed for
    nobody.
    """
    clean(page.run())
    assert [button.label for button in page.button] == [
        "Cat",
        "Coffee",
        "Rocket",
        "Astronaut",
        "Temple",
        "Flower",
    ]
    assert len(page.image) == 6
    assert page.file_uploader(key="page-upload-0").label.startswith("Drop a photo here")
    assert [heading.value for heading in page.subheader] == ["Your photo"]
    assert not page.get("plotly_chart")


def test_a_sample_leads_to_its_answer(page: AppTest):
    """One click from the welcome to everything; the image is then in the session for every page."""
    page.run().button(key="page-rocket").click().run()
    assert len(clean(page).get("progress")) == 5
    assert page.session_state["image"].name == "Rocket"
    assert "SpaceX" in page.session_state["image"].credit


def test_a_dropped_photo_leads_to_its_answer(page: AppTest, chosen: ChosenImage):
    """The landing page takes a photo itself: on a phone the sidebar, which reads it, is closed."""

    def script() -> None:
        import streamlit as st

        from se_viz.ui.frame import require_choices
        from se_viz.ui.frame.sidebar import show_image_choice

        # As `app.py` does before every page.
        show_image_choice()
        st.text(f"Answer for {require_choices().image.name}")

    app = AppTest.from_function(script, default_timeout=300)
    for name in ("network", "device"):
        app.session_state[name] = page.session_state[name]
    app.run().file_uploader(key="page-upload-0").upload(
        chosen.name, chosen.content, "image/jpeg"
    ).run()
    assert f"Answer for {chosen.name}" in [text.value for text in clean(app).text]
    assert app.session_state["image"] == chosen


def test_without_a_network_one_sentence_says_what_to_do(page: AppTest, chosen: ChosenImage):
    """An empty checkpoints folder leaves nothing to choose; the page ends there, in words."""
    page.session_state["network"] = None
    page.session_state["image"] = chosen
    clean(page.run())
    assert [info.value for info in page.info] == [
        "No network is chosen yet. Choose one in the sidebar."
    ]
    assert not page.subheader


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:1000]),
            "the file is damaged or was replaced. Restore",
        ),
        (lambda path: path.unlink(), "Restore the file beside its card."),
    ],
    ids=["cut short", "missing"],
)
def test_weights_that_cannot_be_used_are_a_sentence(
    page: AppTest, chosen: ChosenImage, bundled: Path, damage: Callable[[Path], object], words: str
):
    """The page says what is wrong and what to do; a traceback would help nobody in a lecture."""
    damage(bundled / "tiny.safetensors")
    page.session_state["image"] = chosen
    page.run()
    assert not page.exception
    assert [words in error.value for error in page.error] == [True]
    assert not page.subheader


def test_weights_that_come_back_are_used_at_once(page: AppTest, chosen: ChosenImage, bundled: Path):
    """A failure must not be remembered: restoring the file is all that the sentence asks for."""
    weights = bundled / "tiny.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(b"")
    page.session_state["image"] = chosen
    assert page.run().error
    weights.write_bytes(content)
    assert len(clean(page.run()).get("progress")) == 5


def test_an_image_that_cannot_be_opened_is_a_sentence(page: AppTest):
    """Should a broken file get past the upload, the page still ends in words."""
    page.session_state["image"] = ChosenImage("odd.jpg", b"not an image", "digest")
    page.run()
    assert not page.exception
    assert ["This is not an image" in error.value for error in page.error] == [True]
