from dataclasses import replace

import pytest

from se_viz.charts.palettes import LIGHT
from se_viz.charts.scales import GATES, Span
from se_viz.gates import GateSite, Inspection
from se_viz.ui.explore.remarks import (
    describe_colours,
    describe_scale,
    describe_squeeze,
    name_the_undrawn,
)


def site(function: str, *, low: float = 0.0, closed: bool = False) -> GateSite:
    return GateSite("a.block", 2, 16, function, low=low, closed=closed)


def test_sigmoids_need_no_more_words_than_the_middle():
    """The sigmoid of 0 is 0.5: above it a channel is turned up."""
    assert describe_scale((site("Sigmoid"),), GATES) == ""
    said = describe_colours(GATES, LIGHT)
    assert said == "orange channels are turned up (gate above 0.5), blue channels down"


def test_colours_have_the_names_of_the_palette():
    """With other colours, a sentence that still said orange would be wrong."""
    other = replace(LIGHT, low_name="green", high_name="pink")
    said = describe_colours(Span(-1.0, 1.0), other)
    assert said == "pink channels are turned up (gate above 0), green channels down"


def test_a_hard_sigmoid_is_said_to_reach_its_ends():
    """A gate of exactly 0 is no rounding: the channel is shut, which a sigmoid never does."""
    said = describe_scale((site("Hardsigmoid", closed=True),), GATES)
    assert said == "Hardsigmoid reaches 0 and 1: such channels are shut, or pass unchanged."


def test_another_range_is_named_with_its_function():
    """Colours then mean other numbers than on every other network's page."""
    said = describe_scale((site("Tanh", low=-1.0), site("Sigmoid")), Span(-1.0, 1.0))
    assert said == "Gates come from Sigmoid, Tanh and have a scale of their own."


def test_what_is_not_drawn_is_named_with_its_reason():
    """A block that is silently missing would look as if the network had none there; three names
    are enough to read.
    """
    refused = {"one.se": "Its output is not its input times its gate."}
    others = {f"{number}.attention": "It is something else." for number in range(4)}
    said = list(name_the_undrawn(Inspection((), refused, others)))
    assert said[0] == "Not drawn (`one.se`): Its output is not its input times its gate."
    assert said[-1] == "Not drawn either: 2 more such blocks. The Networks page lists all."
    assert len(said) == 4
    assert list(name_the_undrawn(Inspection((), {}, {}))) == []


@pytest.mark.parametrize(
    ("averaged", "words"),
    [
        ([True, True], "each channel's mean over all positions"),
        ([False, False], "one number that summarises each channel (in this network not its mean)"),
        (
            [True, False],
            "each channel's mean over all positions (in 1 of 2 blocks another summary)",
        ),
    ],
)
def test_the_squeeze_is_called_a_mean_where_it_is_one(averaged: list[bool], words: str):
    """A global context weighs its positions: to call that a mean would be untrue."""
    sites = [
        GateSite(f"block{place}", 2, 8, "Sigmoid", averaged=one)
        for place, one in enumerate(averaged)
    ]
    assert describe_squeeze(tuple(sites)) == words
