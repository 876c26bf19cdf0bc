"""Pages of networks whose answers are no classes: masks, boxes, an embedding, a value."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from se_viz.images import list_samples
from se_viz.networks.config import CONFIG
from se_viz.ui.session.state import ChosenImage
from tests.support.answers import CODE
from tests.support.own_code import write_net
from tests.support.pages import clean, figure, session, words

pytestmark = pytest.mark.slow

LIST = """
[networks.mask]
make = "net.py:segmenter"
answer = "segments"
input = 64

[networks.boxes]
make = "net.py:ssd"
answer = "boxes"
input = 64

[networks.likeness]
make = "net.py:embedder"
answer = "embedding"
input = 64

[networks.age]
make = "net.py:regression"
answer = "value"
input = 64
"""
NETWORKS = ("mask", "boxes", "likeness", "age")
PAGES = (
    "explore.py",
    "microscope.py",
    "surgery.py",
    "bench.py",
    "counterfactuals.py",
    "attribution.py",
    "compare.py",
    "networks.py",
)


@pytest.fixture(autouse=True)
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four networks of one's own, in a list."""
    write_net(tmp_path, "net.py", CODE)
    (tmp_path / "se_viz.toml").write_text(LIST, encoding="utf-8")
    monkeypatch.setenv(CONFIG, str(tmp_path / "se_viz.toml"))


def sample(place: int = 0) -> ChosenImage:
    row = list_samples()[place]
    content = row.path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return ChosenImage(row.title, content, digest, row.credit, row.name)


def look(page: str, network: str, **state: Any) -> AppTest:
    return clean(session(page, image=sample(), network=network, **state).run())


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_shown(page: str, network: str):
    """Nobody should meet an error for what a network answers with."""
    look(page, network)


READ = {
    "mask": "The mask over the whole photo: a softmax of each class's mean logit there.",
    "boxes": "For each class the score of its strongest box in the whole photo.",
    "likeness": "Cosine similarity of both embeddings, from -1 to 1: no class",
    "age": "As the network returns it: no class, and no probability.",
}


@pytest.mark.parametrize("network", NETWORKS)
def test_the_answer_says_what_its_numbers_are(network: str):
    """A percent of a value would be read as a probability."""
    page = look("explore.py", network)
    assert READ[network] in words(page)
    bars = [text for text in words(page).splitlines() if "similarity:" in text or "value:" in text]
    assert bool(bars) == (network in ("likeness", "age"))
    assert not any("%" in text for text in bars)


@pytest.mark.parametrize("network", ["mask", "boxes"])
def test_another_region_is_another_answer(network: str):
    """What the network finds is offered, and what is chosen is framed on the map."""
    # Grad-CAM averages slopes over places: behind a last convolution of 1 x 1 it is of no region.
    page = look("explore.py", network, method="saliency")
    place = page.selectbox(key="place")
    assert place.options[0] == "Whole photo"
    assert place.options[-1] == "A rectangle …"
    before = figure(page, "attribution")
    assert not before["layout"].get("shapes")
    found = place.options[1]
    clean(place.select_index(1).run())
    assert figure(page, "attribution")["layout"]["shapes"][0]["type"] == "rect"
    clean(page.selectbox(key="place").set_value("by hand").run())
    page.slider(key="region-across").set_range(0, 30)
    after = figure(clean(page.run()), "attribution")
    assert after["data"][0]["z"] != before["data"][0]["z"]
    assert ("score" if network == "boxes" else "of the photo") in found
    assert "framed region" in words(page)


def test_a_rectangle_is_drawn_by_hand():
    """Its sides are those of the sliders, in shares of the square of 64 pixels."""
    page = look("explore.py", "mask", place="by hand")
    page.slider(key="region-across").set_range(25, 50)
    page.slider(key="region-down").set_range(0, 75)
    shape = figure(clean(page.run()), "attribution")["layout"]["shapes"][0]
    assert [shape[name] for name in ("x0", "x1", "y0", "y1")] == [15.5, 31.5, -0.5, 47.5]


def test_a_link_opens_a_region():
    """Also one that the network does not find; what is none is told."""
    page = look("explore.py", "mask", link={"region": "0.1,0.2,0.5,0.6"})
    assert page.slider(key="region-across").value == (10, 50)
    assert page.slider(key="region-down").value == (20, 60)
    page = look("explore.py", "mask", link={"region": "0.1,0.2"})
    assert page.selectbox(key="place").value == ""
    assert "region “0.1,0.2”" in page.session_state["link-problems"][0]


def test_a_second_photo_is_compared_with():
    """Another one has another similarity, and the photo itself has 1."""
    page = look("explore.py", "likeness")
    beside = page.selectbox(key="beside")
    assert beside.value == sample(1).digest

    def similarity() -> float:
        text = next(row.value for row in page.markdown if "similarity:" in row.value)
        return float(text.strip("*").partition(": ")[2])

    before = similarity()
    clean(beside.set_value(sample(2).digest).run())
    assert similarity() != before
    clean(page.selectbox(key="beside").set_value(sample().digest).run())
    assert similarity() == pytest.approx(1, abs=1e-4)


def test_a_single_number_is_held_against_nothing():
    """The other picker says so instead of offering nothing."""
    page = look("attribution.py", "age")
    other = next(row for row in page.selectbox if row.label == "And not that class")
    assert other.disabled
    assert "a single number" in other.help


def test_a_value_has_no_points_and_no_labels():
    """Percentage points and flips are of probabilities."""
    page = look("counterfactuals.py", "age")
    axes = figure(page, "depth")["layout"]
    assert axes["yaxis"]["title"]["text"] == "change of<br>the value"
    assert axes["yaxis2"]["title"]["text"] == "change<br>(% of its size)"
    assert "points" not in page.markdown[1].value
    edits = figure(look("surgery.py", "age"), "answers")["layout"]
    assert edits["xaxis"]["title"]["text"] == "value"


@pytest.mark.parametrize("network", NETWORKS)
def test_a_bundle_is_not_offered(network: str):
    """It would not say where the answer was read."""
    page = look("explore.py", network)
    assert "Bundles keep answers of classes alone" in words(page)
    assert "Replay bundle" not in [button.label for button in page.button]


def test_the_control_is_for_such_networks_alone():
    """Everybody else's pages stay as they are."""
    page = look("explore.py", "age")
    assert "place" not in page.session_state
    assert "Where the answer is read" not in [box.label for box in page.selectbox]
