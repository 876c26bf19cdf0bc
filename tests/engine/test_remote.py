"""Nothing but questions, answers and progress crosses the seam: another process answers alike,
value for value.
"""

import dataclasses
import pickle
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image

from se_viz.attribution.question.places import Layer
from se_viz.attribution.question.targets import Target
from se_viz.attribution.scores.exams import Exam
from se_viz.engine import LocalEngine
from se_viz.engine.questions import (
    AblateChannels,
    Analyse,
    AnalyseEdited,
    Attribute,
    AttributeEdited,
    AttributeGate,
    AttributeLayer,
    AttributeLayers,
    AttributeToGates,
    Case,
    CheckSanity,
    DifferentiateBlock,
    DifferentiateGate,
    Erase,
    EstimateEffects,
    FindDead,
    FindPlaces,
    JudgeMethod,
    LendingImage,
    MakeYardstick,
    MeasureCost,
    MeasurePace,
    MeasureSensitivity,
    OpenGate,
    Question,
    ReadLenders,
    Redesign,
    ReplaceGates,
    RunSettings,
    ScoreMap,
    TracePaths,
    WeighChannels,
)
from se_viz.errors import AttributionError, NetworkError, OvertakenError
from se_viz.gates.designs import Design
from se_viz.gates.neurons import Neuron
from se_viz.gates.surgery import set_gates
from se_viz.replay import MapSettings, Settings
from tests.engine.remote import RemoteEngine
from tests.support.photos import noise

pytestmark = pytest.mark.slow

BLOCK = "layer3.1.bn3.1"
PHOTO = "a photo"
CASE = Case("tiny", "cpu", PHOTO)
PHOTOS = {PHOTO: noise(), "another photo": noise(4)}
TARGET = Target(1)
LAYER = Layer("after", BLOCK)
EXAM = Exam(Target(1), steps=2, squares=2, repeats=2)
EDITS = (set_gates({BLOCK: (0, 2)}, 0.5),)
MAP = Attribute(TARGET, "saliency")
GATE_MAP = AttributeGate(Neuron(BLOCK, 3), "saliency")
SETTINGS = Settings(
    "tiny",
    "",
    PHOTO,
    maps=(MapSettings(1, "integrated_gradients", options=(("n_steps", 4),)),),
    edits=EDITS,
)
LENDERS = (LendingImage("noise 5", "lender 5"), LendingImage("mine", "another photo"))
ASKED = (
    Analyse(),
    Analyse(BLOCK),
    AnalyseEdited(EDITS),
    Redesign(Design((BLOCK,), squeeze="none", ratio=32)),
    Redesign(Design((BLOCK,), stage=4)),
    MeasureCost(),
    OpenGate(BLOCK),
    DifferentiateGate(BLOCK, 3),
    DifferentiateBlock(BLOCK, 16, 4),
    FindDead((PHOTO, "another photo"), (BLOCK,)),
    MAP,
    Attribute(Target(1, 0), "integrated_gradients", "black", (("n_steps", 4),)),
    Attribute(TARGET, "grad_cam", stage=3),
    AttributeEdited(MAP, EDITS),
    JudgeMethod("guided_backprop"),
    GATE_MAP,
    AttributeGate(Neuron(BLOCK, 3), "conductance", TARGET),
    Erase(GATE_MAP, 0.1, "blur"),
    AttributeLayer(LAYER, TARGET, "deep_lift"),
    AttributeLayers((LAYER, Layer("before", BLOCK), Layer("end", 9)), TARGET, "grad_cam"),
    WeighChannels(BLOCK, TARGET),
    AttributeToGates(BLOCK, TARGET, "gradient_x_gate"),
    TracePaths(TARGET, "mean"),
    EstimateEffects(BLOCK, 1),
    AblateChannels(BLOCK, (0, 2)),
    ReplaceGates("other", "network", LENDERS),
    ReplaceGates("mean", "stage", LENDERS),
    ReplaceGates("shuffle", "network"),
    MakeYardstick(EXAM),
    ScoreMap(MAP, EXAM),
    MeasureSensitivity(MAP),
    CheckSanity(MAP),
    RunSettings(SETTINGS),
    FindPlaces(),
    MeasurePace(),
    ReadLenders(),
)
"""Every kind of question, where an answer depends on what is asked in more than one way."""
TIMES = {"seconds", "single", "many"}
"""Fields that hold run times, which no two runs share."""


def test_every_kind_of_question_is_asked_here():
    """A kind that is left out could hold what no other process has, and nobody would notice."""
    assert {type(question) for question in ASKED} == {*get_args(Question)}


@pytest.mark.parametrize("question", ASKED, ids=lambda question: type(question).__name__)
def test_another_process_answers_alike(
    local: LocalEngine, remote: RemoteEngine, question: Question
):
    """What a question says is all that an answer depends on; the other process knows nothing of
    this one.
    """
    local_answer, remote_answer = (engine.ask(CASE, PHOTOS, question) for engine in (local, remote))
    assert [*differences(local_answer, remote_answer)] == []


@pytest.mark.parametrize("question", ASKED, ids=lambda question: type(question).__name__)
def test_a_question_is_a_key_also_in_another_process(question: Question):
    """Caches look answers up by it; a copy that has travelled must be the same question."""
    copy = pickle.loads(pickle.dumps(question))
    assert copy == question
    assert hash(copy) == hash(question)
    assert repr(copy) == repr(question)


def test_what_is_seen_of_a_network_travels(local: LocalEngine, remote: RemoteEngine):
    """Pages know a network by its view alone, so all of it has to cross; and it must not bring the
    model along.
    """
    local_view = local.view("tiny", "cpu")
    remote_view = remote.view("tiny", "cpu")
    assert [*differences(local_view, remote_view)] == []
    assert len(local_view.inspection.sites) == 16
    assert len(pickle.dumps(local_view)) < 20_000


def test_a_page_asks_how_many_wait(remote: RemoteEngine):
    """Pages say before long work how long the line is."""
    load = remote.load("cpu")
    assert (load.device, load.waiting) == ("cpu", 0)
    assert load.step is None or load.step > 0


@pytest.fixture(params=["here", "there"])
def engine(
    request: pytest.FixtureRequest, local: LocalEngine, remote: RemoteEngine
) -> LocalEngine | RemoteEngine:
    """Return each of both engines in turn."""
    return {"here": local, "there": remote}[request.param]


def test_progress_comes_while_it_runs(engine: LocalEngine | RemoteEngine):
    """First that nobody is before, then after each slice how many of how many passes are done;
    never backwards.
    """
    reports: list[tuple[int, int, int]] = []
    question = Attribute(
        TARGET, "integrated_gradients", options=(("n_steps", 32), ("internal_batch_size", 8))
    )
    engine.ask(CASE, noise(), question, progress=lambda *numbers: reports.append(numbers))
    assert reports[0] == (0, 0, 0)
    counts = [numbers[0] for numbers in reports]
    assert counts == sorted(counts)
    assert len({*counts}) >= 4
    assert {ahead for *_, ahead in reports} == {0}


def test_what_the_callback_raises_ends_the_question(engine: LocalEngine | RemoteEngine):
    """A run that nobody waits for must end at its next pass, and the engine must answer the next
    question.
    """
    counts: list[int] = []

    def give_up(count: int, total: int, ahead: int) -> None:
        counts.append(count)
        if count:
            raise OvertakenError("Enough.")

    question = Attribute(TARGET, "occlusion", options=(("strides", (3, 8, 8)),))
    with pytest.raises(OvertakenError, match=r"^Enough\.$"):
        engine.ask(CASE, noise(), question, progress=give_up)
    assert [count > 0 for count in counts] == [False] * (len(counts) - 1) + [True]
    assert engine.ask(CASE, noise(), EstimateEffects(BLOCK, 1)).shape == (256,)


def test_what_cannot_be_answered_is_said_in_the_same_words(
    local: LocalEngine, remote: RemoteEngine
):
    """Errors of users cross as what they are: a sentence, and a class that pages tell from
    others.
    """
    for case, question, kind in (
        (CASE, Attribute(Target(9), "saliency"), AttributionError),
        (CASE, Attribute(TARGET, "saliency", options=(("nonsense", 1),)), AttributionError),
        (Case("nowhere", "cpu", PHOTO), Analyse(), NetworkError),
    ):
        sentences = []
        for engine in (local, remote):
            with pytest.raises(kind, match=r"\.$") as problem:
                engine.ask(case, noise(), question)
            sentences.append(str(problem.value))
        assert sentences[0] == sentences[1]


def differences(answer: Any, reference: Any, path: str = "answer") -> Iterator[str]:
    """Yield where two answers differ in any value, kind or shape, but for run times."""
    if type(answer) is not type(reference):
        yield f"{path}: {type(answer)} and {type(reference)}"
    elif isinstance(answer, torch.Tensor):
        same = (
            answer.dtype == reference.dtype
            and answer.device.type == "cpu"
            and torch.equal(answer.nan_to_num(), reference.nan_to_num())
        )
        yield from [] if same else [path]
    elif isinstance(answer, np.ndarray):
        yield from (
            [] if answer.dtype == reference.dtype and np.array_equal(answer, reference) else [path]
        )
    elif isinstance(answer, Image.Image):
        yield from [] if answer.tobytes() == reference.tobytes() else [path]
    elif dataclasses.is_dataclass(answer):
        for name in sorted({field.name for field in dataclasses.fields(answer)} - TIMES):
            yield from differences(
                getattr(answer, name), getattr(reference, name), f"{path}.{name}"
            )
    elif isinstance(answer, Mapping):
        yield from [] if [*answer] == [*reference] else [path]
        for key in answer:
            yield from differences(answer[key], reference[key], f"{path}[{key!r}]")
    elif isinstance(answer, (tuple, list)):
        yield from [] if len(answer) == len(reference) else [path]
        for place, pair in enumerate(zip(answer, reference, strict=False)):
            yield from differences(*pair, f"{path}[{place}]")
    else:
        yield from [] if answer == reference else [f"{path}: {answer} and {reference}"]
