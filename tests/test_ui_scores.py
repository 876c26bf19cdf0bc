"""The panel below the maps: nothing before it is asked for, the library's numbers after, and words for what fails."""

import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.curves import Exam
from se_viz.attribution.run import attribute
from se_viz.attribution.scores import make_yardstick, score_map
from se_viz.attribution.sensitivity import measure_sensitivity
from se_viz.attribution.targets import Target
from se_viz.networks import Network
from tests.pages import chosen, clean, figure, noise, session, words

pytestmark = pytest.mark.usefixtures("bundled")

TITLES = ["Saliency", "Input x Gradient"]


@pytest.fixture
def photo() -> Image.Image:
    """Return coloured noise of the network's own size."""
    return noise()


@pytest.fixture
def page(photo: Image.Image) -> AppTest:
    """Return the page with an image and two quick methods, after its first run."""
    page = session("attribution.py", image=chosen(photo))
    for method in METHODS:
        page.session_state[f"tick-{method}"] = METHODS[method].title in TITLES
    return clean(page.run())


def press(page: AppTest, label: str) -> AppTest:
    """Press the button with this label."""
    return clean(next(button for button in page.button if button.label == label).click().run())


def test_nothing_is_scored_before_it_is_asked_for(page: AppTest):
    """It takes hundreds of pictures: the button says how many, and about how long."""
    assert not page.dataframe
    # 64 squares and the image, nine controls and two maps with two curves of 25 pictures each.
    assert f"{65 + 11 * 50} pictures go through the network" in words(page)


def test_scores_are_the_librarys_beside_controls(page: AppTest, network: Network, photo: Image.Image):
    """Every number of a map's row; controls below; a sentence for each map, and whose scores these are."""
    press(page, "Score these maps")
    table = page.dataframe[0].value.set_index("Map")
    assert table.index.tolist() == ["Random pixels", "Random patches", "Centred blob", *TITLES]
    inputs = network.preprocess(photo)
    with torch.no_grad():
        best = int(network.model(inputs).argmax())
    exam = Exam(Target(best))
    found = attribute(network, inputs, best, "saliency")
    score = score_map(network, inputs, found.map, make_yardstick(network, inputs, exam).falls)
    numbers = [f"{score.read(measure):.3f}" for measure in ("deletion", "insertion", "infidelity")]
    assert table.loc["Saliency"].tolist() == numbers
    assert "±" in table.loc["Random pixels", "Deletion ↓"]
    assert "**Scores of this image only.**" in words(page)
    verdicts = [line for line in words(page).splitlines() if line.startswith("- **")]
    assert all(sum(f"**{title}**" in line for line in verdicts) == 1 for title in TITLES)
    lines = [trace["name"] for trace in figure(page, "score-curves")["data"] if trace.get("showlegend")]
    assert set(lines) == set(table.index)


def test_sensitivity_is_measured_on_request(page: AppTest, network: Network, photo: Image.Image):
    """It runs each method again several times; maps that do not look at the image cannot move with it."""
    press(page, "Score these maps")
    assert "Sensitivity ↓" not in page.dataframe[0].value
    table = clean(page.toggle(key="sensitivity").set_value(True).run()).dataframe[0].value.set_index("Map")
    inputs = network.preprocess(photo)
    with torch.no_grad():
        best = int(network.model(inputs).argmax())
    expected = measure_sensitivity(network, inputs, attribute(network, inputs, best, "saliency"))
    assert table.loc["Saliency", "Sensitivity ↓"] == f"{expected:.3f}"
    assert table.loc["Centred blob", "Sensitivity ↓"] == "0.000"


def test_another_class_has_to_be_asked_for_anew(page: AppTest):
    """Scores are of one class and baseline; those of the last one must not stand below the maps of the next."""
    press(page, "Score these maps")
    assert page.dataframe
    page.selectbox[0].select_index(1)
    assert not clean(page.run()).dataframe


def test_randomising_shows_map_and_gates_part_by_part(page: AppTest):
    """Six steps: an untouched copy, whose likenesses are 1, the classifier, and four stages."""
    press(page, "Randomise a copy")
    traces = {trace["name"]: trace for trace in figure(page, "sanity-steps")["data"]}
    assert list(traces)[-4:] == [f"stage {stage}" for stage in (2, 3, 4, 5)]
    assert all(len(trace["text"]) == 6 for trace in traces.values())
    assert traces["stage 2"]["text"] == ["nothing", "classifier", "stage 5", "stage 4", "stage 3", "stage 2"]
    assert "what the network has learned**" in words(page)


def test_a_stopped_run_offers_itself_again(page: AppTest):
    """What the button of the bar does: the next run shows the offer, not the bar."""
    press(page, "Score these maps")
    page.session_state["scored"] = None
    clean(page.run())
    assert not page.dataframe
    assert any(button.label == "Score these maps" for button in page.button)
