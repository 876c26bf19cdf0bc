import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from se_viz.networks import Network
from se_viz.ui.state import ChosenImage

pytestmark = pytest.mark.usefixtures("bundled")

PAGE = Path(__file__).parents[1] / "pages" / "attribution.py"


@pytest.fixture
def page() -> AppTest:
    """Return the page in a session that has chosen a network, and no image yet."""
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    page.session_state["network"], page.session_state["device"] = "tiny", "cpu"
    return page


@pytest.fixture
def photo() -> Image.Image:
    """Return coloured noise of the network's own size."""
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8))


@pytest.fixture
def look(page: AppTest, photo: Image.Image) -> AppTest:
    """Return the page with an image chosen, after its first run."""
    file = BytesIO()
    photo.save(file, "PNG")
    page.session_state["image"] = ChosenImage("noise.png", file.getvalue(), hashlib.sha256(file.getvalue()).hexdigest())
    return clean(page.run())


def clean(page: AppTest) -> AppTest:
    """Check that a run ended without a traceback and without a complaint."""
    assert not page.exception
    assert not page.error
    return page


def test_without_an_image_the_page_says_what_to_do(page: AppTest):
    """Samples and an uploader stand where the result will be."""
    clean(page.run())
    assert any("No photo at hand?" in text.value for text in page.markdown)


def test_the_predicted_class_is_explained_first(look: AppTest, network: Network, photo: Image.Image):
    """It is what people ask for; the others follow by probability, and none is held against it."""
    with torch.no_grad():
        order = network.model(network.preprocess(photo))[0].argsort(descending=True).tolist()
    classes, others = look.selectbox[:2]
    assert classes.options == [network.classes[index] for index in order]
    assert classes.value == order[0]
    assert others.options == classes.options[1:]
    assert others.value is None
