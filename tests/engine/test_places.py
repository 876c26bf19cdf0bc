"""Where an answer is read is part of the question: no two places share an answer."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from se_viz import attribute
from se_viz.attribution.question import Target
from se_viz.attribution.scores import Exam
from se_viz.engine import LocalEngine
from se_viz.engine.questions import Analyse, Attribute, Case, FindPlaces, ScoreMap
from se_viz.errors import NetworkError
from se_viz.networks import load_network
from se_viz.networks.config import CONFIG
from se_viz.readings import Reading
from tests.support.answers import CODE
from tests.support.own_code import write_net
from tests.support.photos import noise

MASK = Case("mask", "cpu", "a photo")
HALF = replace(MASK, at=Reading((0.0, 0.0, 1.0, 0.5)))
LIST = """
[networks.mask]
make = "net.py:segmenter"
answer = "segments"
input = 64

[networks.likeness]
make = "net.py:embedder"
answer = "embedding"
input = 64
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalEngine:
    """An engine with two networks of one's own."""
    write_net(tmp_path, "net.py", CODE)
    (tmp_path / "se_viz.toml").write_text(LIST, encoding="utf-8")
    monkeypatch.setenv(CONFIG, str(tmp_path / "se_viz.toml"))
    monkeypatch.chdir(tmp_path)
    return LocalEngine()


@pytest.fixture
def photo() -> Image.Image:
    """A photo, as the network sees it."""
    return noise()


def test_a_question_is_answered_at_its_place(engine: LocalEngine, photo: Image.Image):
    """The same numbers and map as the library's at that place, and others than of the whole."""
    network = load_network("net.py:segmenter", "cpu", input=64, answer="segments")
    inputs = network.preprocess(photo, whole=True)
    for case in (MASK, HALF, MASK):
        there = network.at(case.at)
        analysis = engine.ask(case, photo, Analyse())
        assert torch.equal(analysis.logits, there.model(inputs)[0])
        found = engine.ask(case, photo, Attribute(Target(1), "saliency"))
        torch.testing.assert_close(found.map, attribute(there, inputs, 1, "saliency").map)
    whole, half = (engine.ask(case, photo, Analyse()) for case in (MASK, HALF))
    assert not torch.equal(whole.logits, half.logits)
    # Gates are those of the photo, wherever its answer is read.
    assert torch.equal(whole.records[0].gate, half.records[0].gate)


def test_a_question_goes_back_to_an_answer_at_the_same_place(
    engine: LocalEngine, photo: Image.Image
):
    """A map of the whole photo must not be scored in the place of the region's."""
    question = Attribute(Target(1), "saliency")
    engine.ask(MASK, photo, question)
    exam = Exam(Target(1), steps=2, squares=2, repeats=2)
    here = engine.ask(HALF, photo, ScoreMap(question, exam))
    again = LocalEngine().ask(HALF, photo, ScoreMap(question, exam))
    assert here.deletion.values == pytest.approx(again.deletion.values, rel=1e-5)


def test_places_are_found(engine: LocalEngine, photo: Image.Image):
    """The same as the library finds, and none in an embedding."""
    network = load_network("net.py:segmenter", "cpu", input=64, answer="segments")
    places = engine.ask(MASK, photo, FindPlaces())
    assert places == network.find_places(network.preprocess(photo, whole=True))
    assert places
    assert engine.ask(replace(MASK, network="likeness"), photo, FindPlaces()) == ()


def test_a_second_image_stands_beside(engine: LocalEngine, photo: Image.Image):
    """Its square comes with the question, and its embedding is computed once."""
    case = Case("likeness", "cpu", "a photo", Reading(beside="another"))
    photos = {"a photo": photo, "another": photo}
    assert engine.ask(case, photos, Analyse()).logits.item() == pytest.approx(1, abs=1e-5)
    # Known by its digest from now on.
    assert engine.ask(case, {"a photo": photo}, Analyse()).logits.item() > 0.99
    unknown = replace(case, at=Reading(beside="a third"))
    with pytest.raises(NetworkError, match=r"The second image that .* compares with is missing"):
        engine.ask(unknown, {"a photo": photo}, Analyse())


def test_what_is_read_goes_with_its_network(engine: LocalEngine, photo: Image.Image):
    """A network that is moved out must not stay through what reads it."""
    engine.ask(HALF, photo, Analyse())
    assert len(engine._siblings) == 1
    engine.drop("mask")
    import gc

    gc.collect()
    assert len(engine._siblings) == 0
