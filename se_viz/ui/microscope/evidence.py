"""Evidence for one gate: which pixels moved it, what erasing them does, and where its channel
looks.
"""

from functools import partial

import streamlit as st

from se_viz.attribution.catalogue import CONDUCTANCE, NEURON_METHODS, NEURON_REFUSED, say_of_gate
from se_viz.attribution.question import NeuronAttribution, Target
from se_viz.charts import CLIPPED, draw_overlay, fit_span
from se_viz.engine.questions import AttributeGate
from se_viz.errors import SeVizError
from se_viz.experiments import Analysis
from se_viz.gates.neurons import Neuron
from se_viz.gates.records import GateSite, name_argument
from se_viz.gates.tables import label_blocks
from se_viz.ui.asking import Choices, ask_with_bar, attempt, page_part
from se_viz.ui.frame import live_part
from se_viz.ui.glossary import explain
from se_viz.ui.microscope.erasing import show_erasing
from se_viz.ui.microscope.sights import show_sights
from se_viz.ui.microscope.signs import find_sign, name_ends, name_level, say_what_moved
from se_viz.ui.navigation import link_guide
from se_viz.ui.session import keys, link_option
from se_viz.ui.widgets import choose_option, current_palette, get_pace, say_about, show_figure
from se_viz.ui.words import as_markdown, plain

_FIRST = "integrated_gradients"


def show_evidence(choices: Choices, analysis: Analysis, block: str, channel: int) -> None:
    """Show which pixels moved a gate, let people erase them, and show what the gate's channel
    looks at.
    """
    label = f"Channel {channel} of {label_blocks(analysis.records)[block]}."
    st.header("Which pixels moved this gate?", anchor=False)
    st.caption(label)
    link_guide("one-gate")
    _show_pixels(choices, Target(analysis.top(1)[0][0]), (block, channel))
    st.header("What the channel looks at", anchor=False)
    st.caption(label)
    show_sights(choices, block, channel)


@live_part
@page_part
def _show_pixels(choices: Choices, target: Target, place: tuple[str, int]) -> None:
    costs = _estimate(choices)
    left, right = st.columns(2)
    with left:
        method = _choose_method(costs)
    with right:
        argument = name_argument(_site_of(choices, place[0]).function)
        level = choose_option(
            "Explain",
            {"gate": "the gate", "logit": f"its {argument}"},
            key=keys.GATE_LEVEL,
            help=explain("pre-sigmoid value"),
        )
    # All that came through the pre-sigmoid value came through the gate.
    through = method == CONDUCTANCE.key
    neuron = Neuron(*place, logit=level == "logit" and not through)
    pixels, test = st.columns(2, gap="medium")
    with pixels:
        gate_map = _find_map(choices, neuron, method, target if through else None)
        if gate_map is None:
            return
        _draw(choices, gate_map)
    with test:
        _test(choices, gate_map)


def _estimate(choices: Choices) -> dict[str, float]:
    """Return about how many seconds each method takes at most, those of few passes first."""
    pace = get_pace(choices)
    shape = choices.network.card.shape
    ranked = sorted(NEURON_METHODS.values(), key=lambda row: sum(row.passes(shape=shape)))
    return {row.key: pace.estimate(row, {}, shape=shape) for row in ranked}


def _choose_method(costs: dict[str, float]) -> str:
    def label(key: str) -> str:
        words = say_about(costs[key])
        return (
            f"{NEURON_METHODS[key].title} · "
            f"{words if words.startswith('under') else f'at most {words}'}"
        )

    link_option(keys.GATE_METHOD, costs, _FIRST)
    return st.selectbox(
        "Method",
        list(costs),
        index=list(costs).index(_FIRST),
        format_func=label,
        help="\n\n".join(["Early blocks need only part of a pass.", *NEURON_REFUSED.values()]),
        key=keys.GATE_METHOD,
        persist_state="session",
    )


def _find_map(
    choices: Choices, neuron: Neuron, method: str, target: Target | None
) -> NeuronAttribution | None:
    """Return a map; in its place, where there is none, say why."""
    question = AttributeGate(neuron, method, target)
    ask = partial(ask_with_bar, choices, question, "Computing the map…", key=keys.GATE_MAP)
    gate_map = attempt(ask)
    if isinstance(gate_map, SeVizError):
        st.info(as_markdown(gate_map))
        return None
    return gate_map


def _draw(choices: Choices, gate_map: NeuronAttribution) -> None:
    site = _site_of(choices, gate_map.neuron.block)
    word = name_level(gate_map, site)
    values = gate_map.map.numpy()
    span = fit_span(values, signed=gate_map.signed)
    figure = draw_overlay(
        choices.photo,
        values,
        current_palette(),
        span=span,
        opacity=0.85,
        title=name_ends(gate_map),
    )
    show_figure(
        figure,
        keys.GATE_MAP,
        alt=f"{NEURON_METHODS[gate_map.method].title} for a {word} over the photo",
    )
    st.caption(_describe(gate_map, choices.network.classes, word), help=_describe_run(gate_map))
    if words := say_what_moved(gate_map, site, current_palette(), noun=choices.noun):
        st.info(words)


def _site_of(choices: Choices, block: str) -> GateSite:
    return next(site for site in choices.network.inspection.sites if site.name == block)


@page_part
def _test(choices: Choices, gate_map: NeuronAttribution) -> None:
    if gate_map.target:
        st.info(
            "No erasing test for this method: its pixels moved the class through the gate, perhaps "
            "by closing it. Choose another method to find pixels that moved the gate, then erase "
            "those."
        )
        return
    site = _site_of(choices, gate_map.neuron.block)
    sign = find_sign(gate_map, site)
    show_erasing(choices, gate_map, sign, word=name_level(gate_map, site))


def _describe(gate_map: NeuronAttribution, classes: tuple[str, ...], word: str) -> str:
    row = NEURON_METHODS[gate_map.method]
    words = say_of_gate(row, word)
    if gate_map.target:
        total = gate_map.map.sum().item()
        name = plain(classes[gate_map.target.index])
        return (
            f"{words} {total:+.2g} of the logit of {name}, the predicted class, came through the "
            "gate."
        )
    if gate_map.completeness_error is None or gate_map.explained is None:
        return words
    start = gate_map.value - gate_map.explained
    return (
        f"{words} The {word} goes from {start:.3f} at the baseline to {gate_map.value:.3f}: "
        f"completeness error {gate_map.completeness_error:.4f}."
    )


def _describe_run(gate_map: NeuronAttribution) -> str:
    """Say how a map was computed and drawn."""
    row = NEURON_METHODS[gate_map.method]
    # Only the part that came to a class through the gate is in its logits.
    words = [f"{explain('logit')}\n\n"] if gate_map.target else []
    if row.baseline:
        words.append("The baseline is a mean-coloured picture.")
    if gate_map.target:
        words.append("As much came through what the gate function is given.")
    elif gate_map.explained is not None:
        words.append(f"The map should sum to {gate_map.explained:+.3f}.")
    return " ".join([*words, f"Took {gate_map.seconds:.2f} s.", CLIPPED, f"({row.source})"])
