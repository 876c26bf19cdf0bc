"""What cached calls are keyed by: no two questions share an answer, and a question asked twice is computed once."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from se_viz.analysis import Analysis, analyse
from se_viz.attribution.places import Layer
from se_viz.attribution.targets import Target
from se_viz.counterfactuals import Question as Replaced
from se_viz.counterfactuals import gates_of
from se_viz.errors import SeVizError
from se_viz.gates import GateRecord
from se_viz.gates.neurons import Neuron
from se_viz.gates.surgery import set_gates
from se_viz.networks import Network, checkpoints
from se_viz.networks.lenders import Lender
from se_viz.ui import (
    ablation,
    cached,
    carriers,
    counterfactuals,
    edits,
    effects,
    erasing,
    evidence,
    health,
    influence,
    layer_maps,
    microscope,
    paths,
    se_vector,
)
from se_viz.ui.cases import Case, Question, Work
from se_viz.ui.methods import Request
from tests.support import pages

pytestmark = pytest.mark.slow

BLOCK, OTHER = "layer3.0.bn3.1", "layer3.1.bn3.1"
CASE = Case("tiny", "cpu", "a file")
SWAPPED = {
    # No machine of ours has it: to be asked of it is an error, and to get the CPU's answer would be wrong.
    "cpu": "cuda:99",
    "tiny": "other",
    "a file": "another file",
    "a third file": "a fourth file",
    BLOCK: OTHER,
    "integrated_gradients": "saliency",
    "grad_cam": "saliency",
    "activation": "gradient_x_activation",
    "ablation": "gradient_x_gate",
    "conductance": "saliency",
    "after": "before",
    "mean": "black",
    "blur": "mean",
    "shuffle": "ones",
    "network": "stage",
    "set": "scale",
    "n_steps": "no option",
    None: 1,
}
"""Another value for each word of the keys below."""


@dataclass(frozen=True)
class Row:
    """A cached function, a question to it, and what is not part of the key."""

    function: Callable[..., Any]
    key: tuple
    rest: dict[str, Any]


@pytest.fixture
def analysis(bundled: Path, network: Network) -> Analysis:
    """The app finds two small networks; one photo is analysed."""
    checkpoints.save_checkpoint(network.model, replace(network.card, name="other"), bundled)
    return analyse(network, pages.noise(), keep_features=[BLOCK, OTHER])


def swaps(value: Any) -> Iterator[Any]:
    """Yield a key again and again, each time with another single part swapped, however deep it lies."""
    if isinstance(value, GateRecord):
        yield replace(value, block=OTHER)
        yield replace(value, call=1)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from (replace(value, **{field.name: part}) for part in swaps(getattr(value, field.name)))
    elif isinstance(value, tuple):
        for place, part in enumerate(value):
            yield from ((*value[:place], other, *value[place + 1 :]) for other in swaps(part))
    else:
        yield _swap(value)


def _swap(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value / 2 if isinstance(value, float) else SWAPPED[value]


def rows(analysis: Analysis, watch: Callable[[int], None]) -> Iterator[Row]:
    """Yield a question to every cached function that is about an image."""

    def look() -> Analysis:
        watch(0)
        return analysis

    yield Row(cached._analysis, (CASE,), {"_look": look})
    yield Row(cached._features, (CASE, BLOCK), {"_look": look})
    yield from _rows_of_gates(analysis, watch)
    yield from _rows_of_maps({"_work": Work(pages.noise(), watch)})


def _rows_of_gates(analysis: Analysis, watch: Callable[[int], None]) -> Iterator[Row]:
    record = analysis.record(BLOCK)
    photo, cut = pages.noise(), (set_gates({BLOCK: (0, 2)}, 0.5),)
    work: dict[str, Any] = {"_work": Work(photo, watch)}
    shuffled = (Replaced("shuffle", "network", repeats=1), ("a third file",))
    lenders = (Lender("noise", "a third file", gates_of(analysis)),)
    several = (CASE, replace(CASE, digest="a third file"))
    yield Row(edits._edited, (CASE, cut), work)
    yield Row(edits._edited_attribution, (CASE, cut, (0, "grad_cam")), work)
    yield Row(counterfactuals._counterfactuals, (CASE, shuffled), {"_lenders": lenders, **work})
    yield Row(ablation._part, (CASE, BLOCK, (0, 2)), work)
    yield Row(effects._estimate, (CASE, BLOCK, 0), work)
    yield Row(influence._row, (CASE, record, 3), {"_watch": watch})
    yield Row(influence._whole, (CASE, record), {"_watch": watch})
    yield Row(microscope._excitation, (CASE, record), {"_watch": watch})
    yield Row(health._find_dead, (several, (BLOCK,)), {"_photos": [photo, photo], "_watch": watch})


def _rows_of_maps(work: dict[str, Any]) -> Iterator[Row]:
    steps, neuron = Request("integrated_gradients", options=(("n_steps", 2),)), Neuron(BLOCK, 3)
    layer, active = Layer("after", BLOCK), Question(Target(0), "activation", "mean")
    erased = erasing._Asked(neuron, "grad_cam", 0.1, "blur")
    yield Row(cached.attribute_pixels, (CASE, Target(0), steps), work)
    yield Row(cached.attribute_pixels, (CASE, Target(0), Request("grad_cam", stage=3)), work)
    yield Row(evidence._gate_map, (CASE, neuron, "conductance", Target(0)), work)
    yield Row(erasing._erasure, (CASE, erased), {"_map": torch.eye(64), **work})
    yield Row(layer_maps._sights, (CASE, (layer,), active), work)
    yield Row(layer_maps._sight, (CASE, layer, active), work)
    yield Row(se_vector._weights, (CASE, BLOCK, Target(0)), work)
    yield Row(paths._trace, (CASE, Target(0), "mean"), work)
    yield Row(carriers._attribution, (CASE, BLOCK, Question(Target(0), "ablation", "mean")), work)


def test_no_two_questions_share_an_answer(analysis: Analysis):
    """A field that a key lacks would show one person's answer to another's question, and nobody would notice."""
    asked: list[int] = []
    for row in rows(analysis, asked.append):
        asked.clear()
        row.function(*row.key, **row.rest)
        assert asked, f"{row.function.__qualname__} asks no device: this test cannot see it compute"
        for key in swaps(row.key):
            asked.clear()
            # Who is refused was asked.
            with suppress(SeVizError):
                row.function(*key, **row.rest)
                assert asked, f"{row.function.__qualname__} takes {key} for a question that it has answered"


def test_a_question_is_answered_once(analysis: Analysis):
    """What is not of the key is another object for every person and run, and must not make it another question."""
    asked: list[int] = []
    for row in rows(analysis, asked.append):
        row.function(*row.key, **row.rest)
    asked.clear()
    for row in rows(analysis, asked.append):
        row.function(*row.key, **row.rest)
    assert not asked
