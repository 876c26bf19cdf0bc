"""The rows of methods for a gate: all of Captum's, each with its words, and a reason for each that
is none.
"""

import re

import captum.attr
import pytest

from se_viz.attribution.catalogue.neurons import (
    CONDUCTANCE,
    NEURON_METHODS,
    NEURON_REFUSED,
    find_neuron_method,
    say_of_gate,
)
from se_viz.attribution.catalogue.pixels import METHODS, REFUSED
from se_viz.errors import AttributionError


def test_captum_has_no_neuron_method_that_is_missing():
    """Its classes for neurons are those for networks, by name; a gradient is what Saliency and its
    product are of.
    """
    names = {row.algorithm.removeprefix("Neuron") for row in NEURON_METHODS.values()} | {"Gradient"}
    captum_names = {
        name.removeprefix("Neuron") for name in captum.attr.__all__ if name.startswith("Neuron")
    }
    assert captum_names - names == {"Attribution"}, (
        "the class that they all derive from, and no method"
    )
    assert len(captum_names) == 10


def test_every_method_explains_a_gate_or_is_refused_with_a_reason():
    """Nobody looks for a method in vain."""
    assert {*NEURON_METHODS, *NEURON_REFUSED} == {*METHODS, *REFUSED, "conductance"}
    assert not NEURON_METHODS.keys() & NEURON_REFUSED.keys()
    for key, words in NEURON_REFUSED.items():
        assert re.search(r"\. Choose [A-Z].*\.$", words)
        with pytest.raises(AttributionError, match=re.escape(words)):
            find_neuron_method(key)


@pytest.mark.parametrize("word", ["gate", "logit"])
@pytest.mark.parametrize("key", NEURON_METHODS)
def test_words_speak_of_what_is_explained(key: str, word: str):
    """Rows speak of a class's logit; a reader of a gate's map must not look for a class in it."""
    words = say_of_gate(NEURON_METHODS[key], word)
    assert words.endswith(".")
    if key == "conductance":
        assert "through this gate of the logit's rise" in words
    else:
        assert "class" not in words
        assert word in words or not {"logit", "class"} & {
            *re.findall(r"\w+", NEURON_METHODS[key].looks_for)
        }
        assert word == "logit" or "logit" not in words


def test_conductance_takes_as_many_passes_as_steps():
    """By this its time is told before it runs."""
    assert CONDUCTANCE.passes({"n_steps": 20}) == (20, 20)
