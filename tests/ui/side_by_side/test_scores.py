"""The panel below the maps: nothing before it is asked for, the library's numbers after, and words
for what fails.
"""

from pathlib import Path

import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from se_viz.attribution.catalogue.pixels import METHODS
from se_viz.attribution.passes import masked_batches as pictures
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.question.targets import Target
from se_viz.attribution.scores.controls import CONTROLS
from se_viz.attribution.scores.curves import Exam
from se_viz.attribution.scores.scores import make_yardstick, score_map
from se_viz.attribution.scores.sensitivity import measure_sensitivity
from se_viz.charts.palettes import LIGHT
from se_viz.networks import Network, load_network
from se_viz.ui.session.keys import SCORES_TABLE as TABLE
from tests.support.pages import chosen, clean, figure, noise, session, words

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]

TITLES = ["Saliency", "Input x Gradient"]


@pytest.fixture(scope="module")
def saved(quick_folder: Path) -> Path:
    """Let the app find the smallest network: a hundred times the curves of a map are traced."""
    return quick_folder


@pytest.fixture(scope="module")
def session_network(saved: Path) -> Network:
    """Return that network, too."""
    return load_network("tiny", "cpu", folder=saved)


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
    # 64 squares and the image, thirteen controls and two maps with two curves of 25 pictures each.
    assert f"{65 + 15 * 50} images run through the network" in words(page)


def test_scores_are_the_librarys_beside_controls(
    page: AppTest, network: Network, photo: Image.Image
):
    """Every number of a map's row, controls among the rows by the same measure, and whose scores
    these are.
    """
    press(page, "Score these maps")
    table = page.dataframe[0].value.set_index("Map")
    assert set(table.index) == {*CONTROLS.values(), *TITLES}
    assert table["Gap ↑"].tolist() == sorted(table["Gap ↑"], reverse=True)
    inputs = network.preprocess(photo)
    with torch.no_grad():
        best = int(network.model(inputs).argmax())
    exam = Exam(Target(best))
    found = attribute(network, inputs, best, "saliency")
    score = score_map(network, inputs, found.map, make_yardstick(network, inputs, exam).falls)
    columns = ["Gap ↑", "Deletion ↓", "Insertion ↑", "Infidelity ↓"]
    numbers = [score.read(measure) for measure in ("gap", "deletion", "insertion", "infidelity")]
    assert table.loc["Saliency", columns].tolist() == pytest.approx(numbers, abs=1e-5)
    assert "**Scores of this image only**" in words(page)
    verdicts = [line for line in words(page).splitlines() if line.startswith("- **")]
    assert all(sum(f"**{title}**" in line for line in verdicts) == 1 for title in TITLES)
    lines = [
        trace["name"] for trace in figure(page, "score-curves")["data"] if trace.get("showlegend")
    ]
    assert set(lines) == set(table.index)


def in_colour(page: AppTest) -> list[str]:
    """Return the maps whose curves are drawn in colours."""
    lines = [trace for trace in figure(page, "score-curves")["data"] if trace["mode"] == "lines"]
    return [
        trace["name"]
        for trace in lines
        if trace["line"]["color"] in LIGHT.series and trace["showlegend"]
    ]


@pytest.mark.usefixtures("bundled")
def test_ticked_rows_are_in_colour_and_nothing_is_computed_again(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
):
    """What is drawn in which colour is no question to the network; a tick holds until it is taken
    away.
    """
    press(page, "Score these maps")
    assert sorted(in_colour(page)) == sorted(TITLES)
    monkeypatch.setattr(pictures, "line_of", None)
    page.session_state["picked_curves"] = ["Saliency"]
    assert in_colour(clean(page.run())) == ["Saliency"]
    assert in_colour(clean(page.run())) == ["Saliency"]
    rows = page.session_state["curve_rows"]
    assert [rows[row] for row in page.session_state[TABLE]["selection"]["rows"]] == ["Saliency"]
    # One of the shown maps is gone: the best of the others takes its place.
    page.session_state["tick-saliency"] = False
    assert in_colour(clean(page.run())) == ["Input x Gradient"]


def ticked(page: AppTest, *titles: str) -> AppTest:
    """Tick these rows and no others, as the browser tells of it."""
    rows = [row for row, title in enumerate(page.session_state["curve_rows"]) if title in titles]
    page.session_state[TABLE] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    return page


def test_the_latest_ticks_stay_and_keep_their_colours():
    """There are four colours: a fifth map takes that of the one that was ticked first, and the
    others keep theirs.
    """
    page = AppTest.from_function(_tick_and_colour)
    ranked = ["A", "B", "C", "D", "E"]
    page.session_state["ranked"] = ranked
    assert page.run().session_state["curve_colours"] == {"A": 0, "B": 1, "C": 2}
    ticked(page, "A", "B", "C", "E")
    assert page.run().session_state["curve_colours"] == {"E": 3, "A": 0, "B": 1, "C": 2}
    ticked(page, *ranked)
    assert page.run().session_state["curve_colours"] == {"D": 2, "E": 3, "A": 0, "B": 1}
    # What knows nothing has no colour; without any tick the best are back.
    ticked(page, "B", "Centred blob")
    assert page.run().session_state["curve_colours"] == {"B": 1}
    ticked(page)
    assert page.run().session_state["curve_colours"] == {"A": 0, "B": 1, "C": 2}


def _tick_and_colour() -> None:
    import streamlit as st

    from se_viz.ui.session.keys import SCORES_TABLE as TABLE
    from se_viz.ui.side_by_side.curves import colour_curves, pick_rows, tick_rows

    if TABLE in st.session_state:
        pick_rows()
    ranked = st.session_state.ranked
    tick_rows([*ranked, "Centred blob"], colour_curves(ranked))


def test_sensitivity_is_measured_on_request(page: AppTest, network: Network, photo: Image.Image):
    """It runs each method again several times; maps that do not look at the image cannot move with
    it.
    """
    press(page, "Score these maps")
    assert "Sensitivity ↓" not in page.dataframe[0].value
    table = (
        clean(page.toggle(key="sensitivity").set_value(True).run())
        .dataframe[0]
        .value.set_index("Map")
    )
    inputs = network.preprocess(photo)
    with torch.no_grad():
        best = int(network.model(inputs).argmax())
    expected = measure_sensitivity(network, inputs, attribute(network, inputs, best, "saliency"))
    # Passes that were shared with others differ in the last digits.
    assert table.loc["Saliency", "Sensitivity ↓"] == pytest.approx(expected, rel=1e-3)
    assert table.loc["Centred blob", "Sensitivity ↓"] == 0


def test_another_class_has_to_be_asked_for_anew(page: AppTest):
    """Scores are of one class and baseline; those of the last one must not stand below the maps of
    the next.
    """
    press(page, "Score these maps")
    assert page.dataframe
    page.selectbox[0].select_index(1)
    assert not clean(page.run()).dataframe


def test_a_stopped_run_offers_itself_again(page: AppTest):
    """What the button of the bar does: the next run shows the offer, not the bar."""
    press(page, "Score these maps")
    page.session_state["scored"] = None
    clean(page.run())
    assert not page.dataframe
    assert any(button.label == "Score these maps" for button in page.button)
