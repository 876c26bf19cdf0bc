"""A page in a session, without a browser: how tests open it, and what they read on it."""

import hashlib
import json
from io import BytesIO
from typing import Any

from PIL import Image
from streamlit.testing.v1 import AppTest

from se_viz.networks import Network
from se_viz.ui.asking.choices import Choices
from se_viz.ui.asking.engine import get_engine, get_view
from se_viz.ui.session.state import ChosenImage
from tests import ROOT
from tests.support.photos import noise as noise

PAGES = ROOT / "pages"


def chosen(photo: Image.Image, name: str = "noise.png") -> ChosenImage:
    """Return an image as a session holds it once somebody has chosen it."""
    file = BytesIO()
    photo.save(file, "PNG")
    return ChosenImage(name, file.getvalue(), hashlib.sha256(file.getvalue()).hexdigest())


def choices(photo: Image.Image) -> Choices:
    """Return the choice of the small network and of a photo as the network sees it; the file does
    not count.
    """
    return Choices(
        ChosenImage("photo", b"", "digest"), get_view("tiny", "cpu"), "tiny", "cpu", photo
    )


def get_network(name: str = "tiny", device: str = "cpu") -> Network:
    """Return a network of the app's engine itself, for what no page may do to it."""
    with get_engine().borrow(name, device) as network:
        return network


def session(page: str, **state: Any) -> AppTest:
    """Return a page before its first run, in a session that has chosen the small network, and what
    is named.
    """
    test = AppTest.from_file(str(PAGES / page), default_timeout=300)
    for key, value in {"network": "tiny", "device": "cpu", **state}.items():
        test.session_state[key] = value
    return test


def clean(page: AppTest) -> AppTest:
    """Check that a run ended without a traceback and without a complaint."""
    assert not page.exception, page.exception[0].proto
    assert not page.error
    return page


def figure(page: AppTest, key: str) -> dict[str, Any]:
    """Return what the browser is told to draw."""
    return json.loads(
        next(chart.proto.spec for chart in page.get("plotly_chart") if chart.key == key)
    )


def gate_map(page: AppTest) -> dict[str, Any]:
    """Return what the browser is given to paint the gate map."""
    return components(page, "se_viz_gate_map")[0]


def channel_maps(page: AppTest) -> dict[str, dict[str, Any]]:
    """Return what the browser is given to paint channels of the open block, by the component's
    key.
    """
    return {data["name"]: data for data in components(page, "se_viz_channel_maps")}


def components(page: AppTest, name: str) -> list[dict[str, Any]]:
    """Return what the browser is given for each component of a name, from top to bottom."""
    protos = (element.proto for element in page.get("bidi_component"))
    return [json.loads(proto.json) for proto in protos if proto.component_name == name]


def captions(page: AppTest) -> str:
    """Return what is written below pictures, and behind the help marks there."""
    return "\n".join(f"{caption.value} {caption.help}" for caption in page.caption)


def words(page: AppTest) -> str:
    """Return all that is written, in paragraphs and captions, and behind the help marks of
    captions.
    """
    return "\n".join([*(text.value for text in page.markdown), captions(page)])
