"""A replay bundle is made of what the page shows, and one that is brought is run again."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from se_viz import attribute
from se_viz.experiments import analyse
from se_viz.networks.weights import hash_weights
from se_viz.replay import Bundle, bundle_bytes, make_bundle, read_bundle
from se_viz.ui.session import keys
from se_viz.ui.session.state import ChosenImage
from tests.support import pages
from tests.support.pages import clean, get_network, noise

pytestmark = [pytest.mark.usefixtures("bundled"), pytest.mark.slow]


@pytest.fixture
def chosen() -> ChosenImage:
    """Return an image as a session holds it once somebody has chosen it."""
    return pages.chosen(noise(), "a dog.png")


@pytest.fixture
def page(chosen: ChosenImage) -> AppTest:
    """Return the page with a photo, after its first run."""
    return clean(pages.session("explore.py", image=chosen).run())


def made(page: AppTest) -> Bundle:
    """Press the button, and return what the download holds."""
    clean(page.button(key=keys.BUNDLE).click().run())
    _, content = page.session_state[keys.BUNDLE_MADE.name]
    return read_bundle(content)


def run_again(page: AppTest, content: bytes) -> AppTest:
    """Bring a bundle, and run it again."""
    page.file_uploader(key=keys.BUNDLE_FILE).set_value(("cat.zip", content, "application/zip"))
    page.run()
    return page.button(key=keys.BUNDLE_RUN).click().run()


def table(page: AppTest) -> list[list[Any]]:
    """Return the table of differences."""
    frames = [frame.value for frame in page.dataframe if "Largest difference" in list(frame.value)]
    return frames[0].to_numpy().tolist() if frames else []


def test_a_bundle_holds_what_the_page_shows(page: AppTest, chosen: ChosenImage):
    """The class and the method that stand in the pickers, the open block, this photo."""
    page.selectbox(key=keys.METHOD).set_value("grad_cam")
    page.selectbox(key=keys.TARGET.name).set_value(3)
    clean(page.run())
    bundle = made(page)
    settings = bundle.settings
    (asked,) = settings.maps
    assert (asked.method, asked.target, asked.stage) == ("grad_cam", 3, 5)
    assert (settings.network, settings.photo) == ("tiny", chosen.digest)
    assert settings.block == page.session_state[keys.BLOCK.name]
    network = get_network()
    assert settings.weights == hash_weights(network.model)
    analysis = analyse(network, noise(), whole=True)
    np.testing.assert_array_equal(bundle.answers.logits, analysis.logits.numpy())
    inputs = network.preprocess(noise(), whole=True)
    expected = attribute(network, inputs, 3, "grad_cam", stage=5)
    np.testing.assert_array_equal(bundle.answers.maps[0], expected.map.numpy())


def test_the_photo_goes_along_only_with_a_tick(page: AppTest, chosen: ChosenImage):
    """Without one its hash alone does; a tick afterwards asks for another file."""
    assert made(page).content is None
    assert page.download_button(key=keys.BUNDLE_SAVE)
    page.checkbox(key=keys.BUNDLE_PHOTO).check()
    clean(page.run())
    with pytest.raises(KeyError):
        page.download_button(key=keys.BUNDLE_SAVE)
    assert made(page).content == chosen.content


def test_a_bundle_that_is_brought_is_run_again(page: AppTest):
    """Made here, it comes out bit for bit, in a table of gates, logits and its map."""
    content = page_bundle(page)
    clean(run_again(page, content))
    assert [row[1] for row in table(page)] == ["equal bit for bit"] * 3
    assert [row[0] for row in table(page)][:2] == ["gates", "logits"]
    assert [box.value for box in page.success][-1] == "Equal bit for bit."


def page_bundle(page: AppTest) -> bytes:
    made(page)
    return page.session_state[keys.BUNDLE_MADE.name][1]


def test_a_difference_is_told(page: AppTest):
    """A bundle whose logits somebody moved by 2."""
    bundle = read_bundle(page_bundle(page))
    answers = replace(bundle.answers, logits=bundle.answers.logits + np.float32(2))
    clean(run_again(page, bundle_bytes(replace(bundle, answers=answers))))
    assert [row[1] for row in table(page)][1] == "2"
    assert page.warning[-1].value.startswith("Not within 0.0001")


def test_a_bundle_of_another_photo_needs_that_photo(page: AppTest):
    """It is not run with the one that is chosen; with its own inside it is."""
    other = pages.chosen(noise(4), "a cat.png")
    bundle = make_bundle(get_network(), other.content, name="a cat.png", with_photo=True)
    run_again(page, bundle_bytes(replace(bundle, content=None)))
    assert "does not hold its photo (a cat.png). Choose it as the photo" in page.error[0].value
    clean(run_again(page, bundle_bytes(bundle)))
    assert [row[1] for row in table(page)] == ["equal bit for bit"] * 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network": "own/secret-1"}, "own/secret-1, is not here. Bring its weights"),
        ({"weights": "0" * 64}, "has other weights here"),
        ({"photo": hashlib.sha256(b"").hexdigest()}, "does not hold its photo"),
    ],
)
def test_what_cannot_be_run_again_is_said(page: AppTest, changes: dict[str, str], sentence: str):
    """In a sentence, on the page, and the rest of it goes on."""
    bundle = read_bundle(page_bundle(page))
    settings = replace(bundle.settings, **changes)
    run_again(page, bundle_bytes(replace(bundle, settings=settings)))
    assert any(sentence in error.value for error in page.error)
    assert not page.exception


def test_a_file_that_is_no_bundle_is_said(page: AppTest):
    """Strangers bring anything."""
    run_again(page, b"no zip")
    assert "The file is no replay bundle" in page.error[0].value
    assert not page.exception
