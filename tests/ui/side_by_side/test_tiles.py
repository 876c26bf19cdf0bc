from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from se_viz.attribution.catalogue.pixels import METHODS
from se_viz.attribution.question.records import Attribution
from se_viz.charts.palettes import LIGHT
from se_viz.ui.side_by_side.tiles import (
    Look,
    describe,
    describe_reach,
    describe_repeat,
    paint,
    reach_of,
)

LOOK = Look("both", one_scale=False, opacity=1.0, palette=LIGHT)
COMPLETE = Attribution(
    method="integrated_gradients",
    target=0,
    map=torch.tensor([[-1.0, 0.0], [1.0, 1.0]]),
    signed=True,
    seconds=2.04,
    completeness_error=0.02,
    explained=-4.0,
    stage=None,
)
UNSIGNED = replace(
    COMPLETE, method="saliency", signed=False, completeness_error=None, explained=None
)


def test_what_a_complete_method_misses_is_a_share_of_what_it_explains():
    """0.02 of 4 logits is 0.5 %, whichever way the logit went."""
    assert describe(COMPLETE, LOOK) == "2.0 s; completeness error 0.5% of -4 logits."


def test_a_method_that_misses_most_of_its_sum_gives_no_shares():
    """Without the words, a map that misses 3 of 4 logits looks like any other."""
    words = describe(replace(COMPLETE, completeness_error=3.0), LOOK)
    assert "completeness error 75.0% of -4 logits, too large to read values as shares." in words
    assert "too large" not in describe(replace(COMPLETE, completeness_error=1.0), LOOK)


def test_what_shows_nothing_does_not_stretch_one_scale_for_all():
    """Saliency is left out of what speaks against, and its large values would fade what is
    drawn.
    """
    shared = replace(LOOK, one_scale=True)
    faint = replace(COMPLETE, map=COMPLETE.map / 100)
    assert reach_of([faint, UNSIGNED], shared) == pytest.approx(1.0)
    against = replace(shared, sign="against")
    assert reach_of([faint, UNSIGNED], against) == pytest.approx(0.01)
    assert reach_of([UNSIGNED], against) == pytest.approx(1.0)
    assert reach_of([], against) is None


def test_what_took_no_time_is_not_said_to_take_none():
    """A map that came out of another method's pass took some milliseconds."""
    assert describe(replace(UNSIGNED, seconds=0.004), LOOK) == "Under 0.1 s."


def test_of_hardly_any_change_there_is_no_share():
    """A share of nothing would be a division by zero, or a number that frightens."""
    words = describe(replace(COMPLETE, explained=0.0), LOOK)
    assert (
        "completeness error 0.02 logits, where the logit barely changes from the baseline." in words
    )


def test_a_method_that_promises_no_sum_has_no_error():
    """Saliency distributes nothing."""
    assert describe(UNSIGNED, LOOK) == "2.0 s."


def test_a_map_of_zeros_has_words_and_no_reach():
    """Colours that reach to 1 would be a claim about values that are not there."""
    zero = replace(UNSIGNED, map=torch.zeros(2, 2))
    assert describe(zero, LOOK) == "2.0 s; the map is 0 everywhere."
    assert describe_reach(zero, LOOK) == ""
    assert describe_reach(COMPLETE, LOOK) == "Colours reach to 1."
    assert describe_reach(COMPLETE, replace(LOOK, one_scale=True)) == ""


def test_what_a_method_cannot_tell_is_said():
    """A map without signs has nothing that speaks against; an empty picture alone would look like
    a finding.
    """
    against = replace(LOOK, sign="against")
    assert describe(UNSIGNED, against).endswith(
        "; this method does not separate positive from negative evidence."
    )
    assert not describe(COMPLETE, against).endswith(
        "; this method does not separate positive from negative evidence."
    )


def test_one_scale_makes_equal_values_equally_strong():
    """On its own scale each map's 1 is the strongest colour; beside a map of 100 it is hardly
    seen.
    """
    photo = Image.new("RGB", (2, 2), "grey")
    strong = replace(COMPLETE, map=COMPLETE.map * 100)
    shared = replace(LOOK, one_scale=True)
    own = [
        np.asarray(paint(photo, one, LOOK, reach_of([COMPLETE, strong], LOOK)))
        for one in (COMPLETE, strong)
    ]
    both = [
        np.asarray(paint(photo, one, shared, reach_of([COMPLETE, strong], shared)))
        for one in (COMPLETE, strong)
    ]
    assert np.array_equal(own[0], own[1])
    assert abs(both[0].astype(int) - 128).max() < 10 < abs(both[1].astype(int) - 128).max()


@pytest.mark.parametrize("sign", ["both", "for", "against", "size"])
def test_a_sign_does_not_move_the_scale(sign: str):
    """The value 1 keeps its colour when the other half is left out; only size has colours of its
    own.
    """
    photo = Image.new("RGB", (2, 2), "grey")
    picture = np.asarray(paint(photo, COMPLETE, replace(LOOK, sign=sign), None)).tolist()
    high = [200, 60, 0]
    low = [10, 70, 220]
    grey = [128] * 3
    assert (
        picture
        == {
            "both": [[low, grey], [high, high]],
            "for": [[grey, grey], [high, high]],
            "against": [[low, grey], [grey, grey]],
            "size": [[[252, 230, 90], grey], [[252, 230, 90], [252, 230, 90]]],
        }[sign]
    )


@pytest.mark.parametrize(
    ("correlation", "words"),
    [
        (0.94, "With another seed: correlation 0.94."),
        (0.31, "With another seed: correlation 0.31: most of what it shows is chance."),
        (None, "With another seed it has one value everywhere."),
    ],
)
def test_a_map_that_hardly_agrees_with_itself_is_called_chance(
    correlation: float | None, words: str
):
    """Two maps of one method share what is not chance: of 0.31 of the variance, 0.69 is left."""
    assert describe_repeat(correlation) == words


@pytest.mark.parametrize("side", [16, 32, 64])
def test_the_size_of_the_square_is_the_one_that_was_used(side: int):
    """On a sheet nothing else tells it, and methods without a square say nothing of one."""
    options = {"sliding_window_shapes": (3, side, side), "strides": (3, side // 2, side // 2)}
    assert f"a square of {side} x {side} pixels, of the 192 x 192" in METHODS["occlusion"].tell(
        options, shape=(3, 192, 192)
    )
    assert METHODS["saliency"].tell({}, shape=(3, 192, 192)) == METHODS["saliency"].looks_for
