"""What cached calls are keyed by: no two questions share an answer, and a question asked twice is
computed once.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from se_viz.attribution.question.places import Layer
from se_viz.attribution.question.targets import Target
from se_viz.attribution.scores.exams import Exam
from se_viz.engine import questions
from se_viz.engine.questions import (
    Attribute,
    AttributeGate,
    AttributeLayer,
    Case,
    LendingImage,
    Question,
)
from se_viz.experiments.analysis import Analysis, analyse
from se_viz.gates.designs import Design
from se_viz.gates.neurons import Neuron
from se_viz.gates.surgery import set_gates
from se_viz.networks import Network
from se_viz.readings import WHOLE, Reading
from se_viz.replay import MapSettings, Settings
from se_viz.ui.asking import analysis as cached
from se_viz.ui.asking.bounds import BOUNDS
from se_viz.ui.asking.questions import _CACHES, answer_case, tell_apart
from tests.support import pages

BLOCK = "layer3.0.bn3.1"
CASE = Case("tiny", "cpu", "a file")
THERE = replace(CASE, at=Reading((0.1, 0.2, 0.5, 0.6), "another file"))
TARGET = Target(0, 1)
LAYER = Layer("after", BLOCK)
EDITS = (set_gates({BLOCK: (0, 2)}, 0.5),)
MAP = Attribute(TARGET, "integrated_gradients", "mean", (("n_steps", 2),), 3)
GATE_MAP = AttributeGate(Neuron(BLOCK, 3), "conductance", TARGET)
EXAM = Exam(TARGET)
ASKED: tuple[Question, ...] = (
    questions.AnalyseEdited(EDITS),
    questions.Redesign(Design((BLOCK,), "max", "tanh", 8, 3)),
    questions.OpenGate(BLOCK),
    questions.DifferentiateGate(BLOCK, 3),
    questions.DifferentiateBlock(BLOCK, 16, 4),
    questions.FindDead(("a file", "another file"), (BLOCK,)),
    MAP,
    questions.AttributeEdited(MAP, EDITS),
    questions.JudgeMethod("saliency"),
    GATE_MAP,
    questions.Erase(GATE_MAP, 0.1, "blur"),
    questions.Erase(GATE_MAP, 0.1, "blur", -1),
    AttributeLayer(LAYER, TARGET, "deep_lift", "mean"),
    AttributeLayer(Layer("end", 4), TARGET, "deep_lift", "mean"),
    questions.AttributeLayers((LAYER, Layer("before", BLOCK)), TARGET, "grad_cam"),
    questions.WeighChannels(BLOCK, TARGET),
    questions.AttributeToGates(BLOCK, TARGET, "ablation", "mean"),
    questions.TracePaths(TARGET, "mean"),
    questions.EstimateEffects(BLOCK, 0),
    questions.AblateChannels(BLOCK, (0, 2)),
    questions.ReplaceGates("mean", "stage", (LendingImage("a name", "another file"),)),
    questions.MakeYardstick(EXAM),
    questions.ScoreMap(MAP, EXAM),
    questions.MeasureSensitivity(MAP),
    questions.CheckSanity(MAP),
    questions.RunSettings(
        Settings(
            "a name",
            "a hash",
            "a file",
            maps=(MapSettings(1, "saliency", 2, options=(("a", 1),)),),
            block="a block",
        )
    ),
    questions.FindPlaces(),
    questions.MeasurePace(),
    questions.MeasureCost(),
    questions.ReadLenders(),
)
"""Every kind of question that has a cache."""


def swaps(value: Any) -> Iterator[Any]:
    """Yield a key again and again, each time with another single part swapped, however deep it
    lies.
    """
    if value == WHOLE:
        return
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from (
                replace(value, **{field.name: part}) for part in swaps(getattr(value, field.name))
            )
    elif isinstance(value, tuple):
        for place, part in enumerate(value):
            yield from ((*value[:place], other, *value[place + 1 :]) for other in swaps(part))
    else:
        yield _swap(value)


def _swap(value: Any) -> Any:
    if value is None:
        return 1
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2
    # The one word whose kind admits no other.
    return "scale" if value == "set" else f"another {value}"


def compute_as(case: Case, question: Question, compute: Callable[[], Any]) -> None:
    """Ask the cache of a question's kind, where ``compute`` would be the engine."""
    _CACHES[type(question)](case, question, _compute=compute)


def test_every_kind_of_question_has_a_bound_and_is_asked_here():
    """A kind without a bound would grow for as long as a server runs; analyses have caches of
    their own.
    """
    assert {*BOUNDS, questions.Analyse} == {*get_args(Question)}
    assert {type(question) for question in ASKED} == {*BOUNDS}


@pytest.mark.parametrize("question", ASKED, ids=lambda question: type(question).__name__)
def test_no_two_questions_share_an_answer(bundled: Path, question: Question):
    """A part that a key lacks would show one person's answer to another's question, and nobody
    would notice.
    """
    asked: list[int] = []
    # What is said of a network is said of no place.
    here = CASE if isinstance(question, questions.OF_NETWORKS) else THERE
    compute_as(here, question, lambda: asked.append(0))
    for number, (case, other) in enumerate(swaps((here, question)), 1):
        compute_as(case, other, lambda number=number: asked.append(number))
        assert asked[-1] == number, f"{other} is taken for a question that was answered"
    asked.clear()
    for case, other in [(here, question), *swaps((here, question))]:
        compute_as(case, other, lambda: asked.append(0))
    assert not asked, "a question that was asked twice is computed twice"


def test_kinds_do_not_share_a_cache(bundled: Path):
    """Streamlit tells caches apart by the names of their functions, and all of these are made by
    one.
    """
    asked: list[type] = []
    for kind in (questions.MeasurePace, questions.ReadLenders):
        compute_as(CASE, kind(), lambda kind=kind: asked.append(kind))
    assert asked == [questions.MeasurePace, questions.ReadLenders]


def test_an_analysis_is_known_by_image_network_and_block(bundled: Path, network: Network):
    """Analyses are shared by all sessions, feature maps are bounded in bytes: each has a cache of
    its own.
    """
    analysis = analyse(network, pages.noise(), keep_features=[BLOCK])
    asked = list[int]()

    def look() -> Analysis:
        asked.append(0)
        return analysis

    keys: list[Any] = [(case,) for case in (CASE, *swaps(CASE))]
    blocks: list[Any] = [(case, BLOCK) for case in (CASE, *swaps(CASE))] + [
        (CASE, analysis.records[0].name)
    ]
    for cache, rows in ((cached._analysis, keys), (cached._keep_record, blocks)):
        for row in rows:
            asked.clear()
            cache(*row, _look=look)
            assert asked, f"{row} is taken for a question that was answered"
        asked.clear()
        for row in rows:
            cache(*row, _look=look)
        assert not asked


def test_what_is_said_of_a_network_is_said_once_for_all_photos(bundled: Path):
    """How fast a network is, and whether a method runs on it, depends on no photo: a class must
    not measure it anew.
    """
    told: list[int] = []
    for case in (CASE, replace(CASE, digest="another file"), THERE):
        answer_case(case, {}, questions.JudgeMethod("saliency"), told.append)
    assert told == [0]


def test_one_callback_is_two_again():
    """A watch may end a run and must hear of every wait; a bar moves when something is done, and
    at no other time.
    """
    heard: list[object] = []
    tell = tell_apart(heard.append, lambda *numbers: heard.append(numbers))
    for numbers in (
        (0, 0, 2),
        (0, 0, 1),
        (0, 0, 0),
        (8, 32, 0),
        (8, 32, 1),
        (8, 32, 0),
        (32, 32, 0),
    ):
        tell(*numbers)
    assert heard == [2, 1, 0, (8, 32), 1, 0, (32, 32)]
