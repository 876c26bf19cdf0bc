"""Help marks explain the field's words where they first stand, with the sentences of the docs."""

import re
from collections import Counter
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from se_viz.ui.glossary import WORDS, explain
from tests import ROOT
from tests.support.pages import chosen, clean, noise, session
from tests.support.sentences import count_sentences

MARK = re.compile(r"\*\*(.+?)\*\*: ")
GATES = {"block", "stage", "stride"}
VIEWS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "Explore": (
        "explore.py",
        {},
        GATES | {"gate", "squeeze", "channel", "logit", "recalibration"},
    ),
    "Open a gate": (
        "microscope.py",
        {},
        GATES | {"channel", "gate", "squeeze", "excitation", "pre-sigmoid value"},
    ),
    "Open a gate, of a class": (
        "microscope.py",
        {"gate-method": "conductance"},
        GATES | {"channel", "gate", "squeeze", "excitation", "pre-sigmoid value", "logit"},
    ),
    "Change the gates": ("surgery.py", {}, GATES | {"gate", "channel", "logit"}),
    "Design a block": (
        "bench.py",
        {"bench-excitation": "tanh"},
        {"block", "stage", "channel", "gate", "squeeze", "excitation", "reduction ratio", "logit"},
    ),
    "Does it matter?": ("counterfactuals.py", {}, GATES | {"gate", "channel", "logit"}),
    "Side by side": (
        "attribution.py",
        {},
        {"gate", "class", "logit", "attribution", "completeness error"},
    ),
    "Stage by stage": (
        "attribution.py",
        {"attribution-view": "Stage by stage"},
        GATES
        | {"gate", "class", "logit", "attribution", "feature map", "recalibration", "channel"},
    ),
    "Through the gates": (
        "attribution.py",
        {"attribution-view": "Through the gates"},
        GATES | {"gate", "class", "logit", "attribution"},
    ),
    "Networks": ("networks.py", {}, {"block", "squeeze", "excitation"}),
    "Networks, inside": (
        "networks.py",
        {"network-inside": True},
        {"block", "squeeze", "excitation", "stage", "stride", "channel", "reduction ratio", "gate"},
    ),
}
"""A page, what its session has chosen, and the words that its help marks explain."""


def table() -> dict[str, str]:
    """Return the words of the field as the docs have them."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    part = text.partition("## Words of the field")[2].partition("## ")[0]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return dict(rows[2:])


def test_docs_and_help_marks_say_the_same():
    """Of two glossaries one is older."""
    assert table() == WORDS
    assert list(WORDS) == [*table()]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_takes_one_or_two_sentences(word: str):
    """A help mark is read beside what it explains, and not instead of it."""
    assert 1 <= count_sentences(WORDS[word]) <= 2
    assert WORDS[word].endswith(".")


def test_a_mark_says_the_words_and_what_else_there_is():
    """One mark beside one label, whatever it has to say."""
    words = explain("stage", "logit", more="Took 1 s.")
    assert words == f"**Stage**: {WORDS['stage']}\n\n**Logit**: {WORDS['logit']}\n\nTook 1 s."
    assert explain() == ""


def test_stages_are_said_to_begin_at_two():
    """Whoever sees stages 2 to 5 looks for the first one."""
    assert "begin at 2" in WORDS["stage"]


def test_a_logit_is_a_classs_alone():
    """One meaning a word: what stands before a gate's function has a name of its own."""
    assert "class" in WORDS["logit"]
    assert "gate" not in WORDS["logit"]
    assert "logit" not in WORDS["pre-sigmoid value"]


def explained(page: AppTest) -> Counter[str]:
    """Return how often each word is explained on a page."""
    helps = [str(getattr(getattr(node, "proto", None), "help", "")) for node in page.main]
    marks = (mark.lower() for text in helps for mark in MARK.findall(text))
    return Counter(mark for mark in marks if mark in WORDS)


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("name", VIEWS)
def test_each_word_has_one_mark_on_a_page(name: str):
    """Where it first stands, and not again: a page full of marks is read by nobody."""
    script, state, words = VIEWS[name]
    page = clean(session(script, image=chosen(noise()), **state).run())
    assert explained(page) == Counter(words)
