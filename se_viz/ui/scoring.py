"""Scores as pages ask for them: with a bar over all their parts, and each part cached by itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import streamlit as st

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.curves import Exam
from se_viz.attribution.infidelity import Falls
from se_viz.attribution.records import Attribution
from se_viz.attribution.scores import MapScore, Yardstick, count_passes, make_yardstick, score_map
from se_viz.attribution.sensitivity import measure_sensitivity
from se_viz.errors import AttributionError
from se_viz.ui.cases import Case, Work, borrow_inputs, case_of
from se_viz.ui.choices import Choices
from se_viz.ui.progress import part_of, progress


@dataclass(frozen=True, slots=True)
class Subject:
    """A map that is shown."""

    found: Attribution
    """The map itself."""

    @property
    def title(self) -> str:
        """Return its method's name for people, and the stage where there is one."""
        stage = "" if self.found.stage is None else f", stage {self.found.stage}"
        return METHODS[self.found.method].title + stage

    @property
    def digest(self) -> str:
        """Return what tells it from all others: its values, and what it takes to make it again."""
        found = self.found
        asked = (found.method, found.target, found.against, found.baseline, found.stage, found.options)
        return blake2b(repr(asked).encode() + found.map.numpy().tobytes(), digest_size=16).hexdigest()


BY_DIGEST: dict[str | type[Any], Callable[[Any], Any]] = {Subject: lambda subject: subject.digest}
"""How caches know a map: its tensor cannot be hashed."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of the maps that are shown."""

    yardstick: Yardstick
    """The controls."""
    scores: dict[str, MapScore]
    """The score of each map, by title."""
    problems: dict[str, str]
    """Why a map has none, by title."""


def count_pictures(exam: Exam, subjects: Sequence[Subject]) -> int:
    """Return how many pictures go through the network for all scores."""
    return count_passes(exam) + len(subjects) * exam.passes


def get_scores(choices: Choices, exam: Exam, subjects: Sequence[Subject], *, stop: Callable[[], None]) -> Scored:
    """Score maps and controls.

    Raises:
        SeVizError: too many wait, or there is too little memory; the text says what to do.
    """
    case, done, whole = case_of(choices), count_passes(exam), count_pictures(exam, subjects)
    scores: dict[str, MapScore] = {}
    problems: dict[str, str] = {}
    with progress("Scoring maps…", key="scores", stop=stop) as (watch, report):
        work = Work(choices.photo, watch, part_of(report, before=0, weight=done, whole=whole))
        yardstick = _yardstick(case, exam, _work=work)
        for subject in subjects:
            work = replace(work, report=part_of(report, before=done, weight=exam.passes, whole=whole))
            try:
                scores[subject.title] = _score(case, exam, subject, _falls=yardstick.falls, _work=work)
            except AttributionError as problem:
                problems[subject.title] = str(problem)
            done += exam.passes
    return Scored(yardstick, scores, problems)


def get_sensitivities(
    choices: Choices, subjects: Sequence[Subject], *, stop: Callable[[], None]
) -> Mapping[str, float]:
    """Measure how far each map moves when the image hardly does, by title.

    Raises:
        SeVizError: a method cannot run, or too many wait; the text says what to do.
    """
    case, weight = case_of(choices), 100 // len(subjects)
    found: dict[str, float] = {}
    with progress("Moving the image…", key="sensitivity", stop=stop) as (watch, report):
        for place, subject in enumerate(subjects):
            part = part_of(report, before=weight * place, weight=weight, whole=100)
            found[subject.title] = _sensitivity(case, subject, _work=Work(choices.photo, watch, part))
    return found


@st.cache_data(max_entries=512, max_size="64MB", show_spinner=False)
def _yardstick(case: Case, exam: Exam, *, _work: Work) -> Yardstick:
    with borrow_inputs(case, _work) as (network, inputs):
        return make_yardstick(network, inputs, exam, watch=_work.watch, report=_work.report)


@st.cache_data(max_entries=2048, max_size="32MB", show_spinner=False, hash_funcs=BY_DIGEST)
def _score(case: Case, exam: Exam, subject: Subject, *, _falls: Falls, _work: Work) -> MapScore:
    values = subject.found.map
    with borrow_inputs(case, _work) as (network, inputs):
        return score_map(network, inputs, values, _falls, watch=_work.watch, report=_work.report)


@st.cache_data(max_entries=2048, max_size="8MB", show_spinner=False, hash_funcs=BY_DIGEST)
def _sensitivity(case: Case, subject: Subject, *, _work: Work) -> float:
    with borrow_inputs(case, _work) as (network, inputs):
        return measure_sensitivity(network, inputs, subject.found, watch=_work.watch, report=_work.report)
