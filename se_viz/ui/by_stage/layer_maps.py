"""What one method finds at several feature maps: the announcement of a long run, its bar, and what
is kept of it.
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import TypeVar

import streamlit as st

from se_viz.attribution.catalogue import LAYER_METHODS
from se_viz.attribution.question import Layer, Target
from se_viz.engine import Sight
from se_viz.engine.questions import AttributeLayer, AttributeLayers
from se_viz.errors import SeVizError
from se_viz.experiments import Analysis
from se_viz.ui.asking import Choices, answer, ask, attempt, case_of, part_of, progress
from se_viz.ui.session import Report, Watch, link_option
from se_viz.ui.widgets import announce

Place = TypeVar("Place", int, str)


def choose_method(key: str) -> str:
    """Offer every method that explains a feature map."""
    link_option(key, LAYER_METHODS, next(iter(LAYER_METHODS)))
    return st.selectbox(
        "Method",
        list(LAYER_METHODS),
        format_func=lambda method: LAYER_METHODS[method].title,
        key=key,
        persist_state="session",
    )


def announce_sights(
    choices: Choices, analysis: Analysis, method: str, *, layers: Collection[Layer], what: str
) -> None:
    """Say before a long run how long it is, and for ``what``: all these feature maps together."""
    row = LAYER_METHODS[method]
    widths = {
        use: record.gate.shape[1]
        for record in analysis.records
        for use in (record.stage, record.name)
    }
    costs = [row.cost(row.options.get("n_steps", 1), widths[layer.of]) for layer in layers]
    passes, back = (sum(part) for part in zip(*costs, strict=True))
    if passes > 8 * len(layers):
        announce(choices, row.title, (passes, back), what=what)


def ask_layer(layer: Layer, target: Target, method: str, baseline: str) -> AttributeLayer:
    """Return the question about a feature map.

    Where the method has no baseline always the same one, as for caches.
    """
    return AttributeLayer(
        layer, target, method, baseline if LAYER_METHODS[method].baseline else "mean"
    )


def find_sights(
    choices: Choices, questions: Mapping[Place, AttributeLayer], *, picker: str
) -> dict[Place, Sight | str]:
    """Return what each feature map shows, or the sentence why it cannot.

    All are asked by one method, of this ``picker``.

    Raises:
        OvertakenError: they were stopped, or are not wanted any more.
    """
    first = next(iter(questions.values()))
    if LAYER_METHODS[first.method].single:
        layers = tuple(question.layer for question in questions.values())
        together = AttributeLayers(layers, first.target, first.method)
        return dict(
            zip(questions, ask(choices, together, "Computing the maps…", slow=True), strict=True)
        )
    share = 100 // len(questions)
    work = (case_of(choices), tuple(questions.values()))
    with progress("Computing the maps…", key=picker, work=work) as (watch, report):
        parts = [
            part_of(report, before=share * place, weight=share, whole=100)
            for place in range(len(questions))
        ]
        return {
            place: _try(choices, question, watch, part)
            for (place, question), part in zip(questions.items(), parts, strict=True)
        }


def name_scale(method: str, *, signed: bool) -> str:
    """Return the title of a map's colours: what they are between."""
    if not signed:
        return "none → strongest"
    return "below 0 ← 0 → above" if LAYER_METHODS[method].classless else "against ← 0 → for"


def _try(choices: Choices, question: AttributeLayer, watch: Watch, report: Report) -> Sight | str:
    sight = attempt(partial(answer, choices, question, watch, report))
    return str(sight) if isinstance(sight, SeVizError) else sight
