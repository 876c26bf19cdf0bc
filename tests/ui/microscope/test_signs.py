"""Which way a gate's map is read: words, and what is erased, follow one sign."""

from dataclasses import replace

import pytest
import torch

from se_viz.attribution.question.records import NeuronAttribution
from se_viz.charts.palettes import LIGHT
from se_viz.gates.neurons import Neuron
from se_viz.gates.records import GateSite
from se_viz.ui.microscope.signs import find_sign, name_level, say_what_moved

SITE = GateSite("se", 2, 8, "Sigmoid", low=0.0, high=1.0)
DOUBLED = GateSite("se", 2, 8, "Sigmoid", low=0.0, high=2.0, gain=2.0)


def gate_map(
    *,
    value: float,
    explained: float | None = None,
    total: float = 0.0,
    signed: bool = True,
    logit: bool = False,
) -> NeuronAttribution:
    """Return a map of a gate with this sum; what it shares out is a number of its own."""
    return NeuronAttribution(
        method="integrated_gradients" if signed else "saliency",
        neuron=Neuron("se", 3, logit=logit),
        map=torch.full((2, 2), total / 4),
        signed=signed,
        seconds=0.1,
        value=value,
        completeness_error=None if explained is None else 0.0,
        explained=explained,
    )


@pytest.mark.parametrize(
    ("look", "sign"),
    [
        (gate_map(value=0.1, explained=0.05), 1),
        (gate_map(value=0.9, explained=-0.05), -1),
        (gate_map(value=0.9, total=-0.3), -1),
        (gate_map(value=0.1, total=0.3), 1),
        (gate_map(value=0.9, explained=-0.019), 1),
        (gate_map(value=0.1, explained=0.019), -1),
        (gate_map(value=0.9, total=0.3, signed=False), 1),
        (gate_map(value=0.1, total=0.3, signed=False), -1),
        (gate_map(value=-1.5, explained=0.05, logit=True), -1),
        (gate_map(value=-1.5, explained=0.2, logit=True), 1),
    ],
)
def test_the_sign_is_that_of_what_is_shown(look: NeuronAttribution, sign: int):
    """What a map shares out, else its sum; where it shares out nothing or has no signs, whether the
    gate is turned up or down.
    """
    assert find_sign(look, SITE) == sign


def test_the_middle_of_a_doubled_gate_is_that_of_the_gate_alone():
    """Norm-free networks multiply by 2 beside the block: 0.6 is turned up, of a range of 0 to 1."""
    assert find_sign(gate_map(value=0.6, signed=False), DOUBLED) == 1
    assert find_sign(gate_map(value=0.4, signed=False), DOUBLED) == -1


@pytest.mark.parametrize("explained", [0.3, -0.3])
@pytest.mark.parametrize("level", ["gate", "logit"])
def test_words_point_at_the_colour_that_is_erased(explained: float, level: str):
    """Not at the pixels that lower a gate, while those that raise it are erased."""
    look = gate_map(value=0.5, explained=explained, logit=level == "logit")
    words = say_what_moved(look, SITE, LIGHT)
    up = find_sign(look, SITE) > 0
    right, wrong = (LIGHT.high_name, LIGHT.low_name)[:: 1 if up else -1]
    word = {"logit": "pre-sigmoid value", "gate": "gate"}[level]
    assert f"a {'lower' if up else 'higher'} {word}" in words
    assert f"look at the {right} pixels, which {'opened' if up else 'closed'} it" in words
    assert wrong not in words


@pytest.mark.parametrize(("explained", "logit"), [(0.019, False), (-0.019, False), (0.09, True)])
def test_less_than_the_least_change_is_nothing_clear(explained: float, logit: bool):
    """A map of a change that is no change marks pixels all the same."""
    look = gate_map(value=0.5, explained=explained, logit=logit)
    words = say_what_moved(look, SITE, LIGHT)
    assert words.startswith("Nothing clear was found")
    assert "look at" not in words


def test_a_method_without_a_sum_says_no_more_than_its_map():
    """Only what adds up can be compared with a mean-coloured picture."""
    look = gate_map(value=0.5, total=0.4)
    assert say_what_moved(look, SITE, LIGHT) == ""
    assert "saturated" in say_what_moved(replace(look, value=0.999), SITE, LIGHT)


@pytest.mark.parametrize(
    ("function", "word"), [("Sigmoid", "pre-sigmoid value"), ("Hardsigmoid", "pre-activation")]
)
def test_what_a_gate_function_is_given_is_no_logit(function: str, word: str):
    """A logit is a class's; what stands before a gate is called after the gate's function."""
    site = replace(SITE, function=function)
    assert name_level(gate_map(value=0.5, logit=True), site) == word
    assert f"explain its {word} instead" in say_what_moved(gate_map(value=0.999), site, LIGHT)
