"""Scores as pages ask for them: with a bar over all their parts, and each part cached by itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import streamlit as st
from PIL import Image

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.curves import Exam
from se_viz.attribution.records import Attribution
from se_viz.attribution.scores import MapScore, Yardstick, count_passes, make_yardstick, score_map
from se_viz.attribution.sensitivity import measure_sensitivity
from se_viz.errors import AttributionError
from se_viz.line import Watch
from se_viz.ui.cached import borrow_network
from se_viz.ui.choices import Choices
from se_viz.ui.progress import progress
from se_viz.variants import Report


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
    name, device, digest, photo = choices.key
    done, whole = count_passes(exam), count_pictures(exam, subjects)
    scores: dict[str, MapScore] = {}
    problems: dict[str, str] = {}
    with progress("Scoring maps…", key="scores", stop=stop) as (watch, report):
        yardstick = _yardstick(
            name, device, digest, exam, _photo=photo, _watch=watch, _report=_part(report, 0, done, whole)
        )
        for subject in subjects:
            told = {"_watch": watch, "_report": _part(report, done, exam.passes, whole)}
            key = (name, device, digest, exam, subject.digest)
            try:
                scores[subject.title] = _score(*key, _photo=photo, _subject=subject, _yardstick=yardstick, **told)
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
    name, device, digest, photo = choices.key
    found: dict[str, float] = {}
    with progress("Moving the image…", key="sensitivity", stop=stop) as (watch, report):
        for place, subject in enumerate(subjects):
            told = {"_watch": watch, "_report": _part(report, 100 * place // len(subjects), 100 // len(subjects), 100)}
            key = (name, device, digest, subject.digest)
            found[subject.title] = _sensitivity(*key, _photo=photo, _subject=subject, **told)
    return found


def _part(report: Report, before: int, weight: int, whole: int) -> Report:
    # Something must be done before an estimate can be made.
    return lambda done, total: report(max(1, before + weight * done // total), whole)


@st.cache_data(max_entries=512, max_size="64MB", show_spinner=False)
def _yardstick(
    name: str, device: str, digest: str, exam: Exam, *, _photo: Image.Image, _watch: Watch, _report: Report
) -> Yardstick:
    with borrow_network(name, device) as network:
        return make_yardstick(network, network.preprocess(_photo), exam, watch=_watch, report=_report)


@st.cache_data(max_entries=2048, max_size="32MB", show_spinner=False)
def _score(
    name: str,
    device: str,
    digest: str,
    exam: Exam,
    of: str,
    *,
    _photo: Image.Image,
    _subject: Subject,
    _yardstick: Yardstick,
    _watch: Watch,
    _report: Report,
) -> MapScore:
    with borrow_network(name, device) as network:
        inputs, values = network.preprocess(_photo), _subject.found.map
        return score_map(network, inputs, values, exam, _yardstick.falls, watch=_watch, report=_report)


@st.cache_data(max_entries=2048, max_size="8MB", show_spinner=False)
def _sensitivity(
    name: str,
    device: str,
    digest: str,
    of: str,
    *,
    _photo: Image.Image,
    _subject: Subject,
    _watch: Watch,
    _report: Report,
) -> float:
    with borrow_network(name, device) as network:
        inputs = network.preprocess(_photo)
        return measure_sensitivity(network, inputs, _subject.found, watch=_watch, report=_report)
