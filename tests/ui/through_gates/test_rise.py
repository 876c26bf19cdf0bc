"""The sentence says what happened, and claims no share where there is none."""

import pytest
import torch

from se_viz.attribution.paths.flows import Flow, Trace
from se_viz.attribution.question.targets import Target
from se_viz.ui.through_gates.rise import describe_rise, name_set, say_error

CLASSES = ("ant", "b*e")


def flow(bypass: float, carried: float, doubt: float = 0.0) -> Flow:
    gate = {"se": torch.tensor([carried])}
    return Flow(bypass, gate, torch.zeros(2, 2), {"se": torch.zeros(1)}, 0.0, doubt)


def say(
    rise: float,
    network: tuple[float, float],
    *,
    stages: dict[str, tuple[float, float]] | None = None,
) -> str:
    flows = {"network": flow(*network)} | {
        name: flow(*parts) for name, parts in (stages or {}).items()
    }
    trace = Trace(Target(1, 0), 1.0, 1.0 + rise, flows, torch.zeros(2, 2), 0.0, 7, 0.1)
    return describe_rise(trace, CLASSES, "mean")


def test_a_share_of_the_rise_is_said_where_both_parts_go_along():
    """1.9 of 8.1 logits are 23 %."""
    words = say(8.1, (6.2, 1.9))
    assert words.startswith(
        r"From a mean-coloured image to this image the logit of **b\*e against ant** rises by "
        r"**8.10**."
    )
    assert words.endswith(
        "Through the gates: **+1.90** (23% of the change); past the gates: +6.20."
    )


def test_a_fall_is_called_one():
    """Two negative parts are shares of a fall."""
    words = say(-2.0, (-1.5, -0.5))
    assert "falls by **2.00**" in words
    assert "(25% of the change)" in words


@pytest.mark.parametrize(
    ("rise", "parts", "words"),
    [
        (
            1.2,
            (3.5, -2.3),
            "The gates opposed this: **-2.30** through the gates, +3.50 past the gates.",
        ),
        (
            1.2,
            (-1.0, 2.2),
            "Only the gates account for this: **+2.20** through the gates, -1.00 past the gates.",
        ),
        (-1.2, (-3.5, 2.3), "The gates opposed this"),
        (0.1, (3.2, -3.1), "so percentages would be meaningless"),
    ],
)
def test_opposite_signs_and_tiny_sums_have_no_percentage(
    rise: float, parts: tuple[float, float], words: str
):
    """-192 % of a rise says nothing, and neither does a share of what cancels."""
    found = say(rise, parts)
    assert words in found
    assert "%" not in found


def test_a_rise_of_hardly_anything_still_has_numbers():
    """A network that was never trained rises by a thousandth of a logit; +0.00 through and -0.00
    past say nothing.
    """
    words = say(0.0012, (0.0010, 0.0002))
    assert "rises by **0.0012**" in words
    assert words.endswith(
        "Through the gates: **+0.0002** (17% of the change); past the gates: +0.0010."
    )


@pytest.mark.parametrize("part", [0.0, 9e-5])
def test_where_nothing_moves_the_sentence_says_what_to_do(part: float):
    """Rounding has a picture too, and nobody should read it."""
    words = say(part, (part, 0.0))
    assert "moves by less than 0.0001: there is nothing to split. Choose another" in words
    assert "less than" not in say(2e-4, (1e-4, 1e-4))


def test_the_stage_that_carried_most_is_named():
    """Most by size, with its sign, and with a share only where it is one."""
    found = say(
        4.0,
        (3.0, 1.0),
        stages={"stage 2": (3.9, 0.1), "stage 3": (5.5, -1.5), "stage 4": (3.0, 1.0)},
    )
    assert found.endswith("the gates of stage 3 carried most: -1.50.")
    found = say(4.0, (3.0, 1.0), stages={"stage 2": (3.9, 0.1), "stage 4": (3.0, 1.0)})
    assert found.endswith("the gates of stage 4 carried most: +1.00 (25%).")


def test_a_network_of_one_stage_has_no_stages_to_compare():
    """The stage would be the network."""
    assert "stage" not in say(4.0, (3.0, 1.0), stages={"stage 2": (3.0, 1.0)})


def test_sets_have_names_for_people():
    """As the options and the rows of the picture call them."""
    assert (name_set("network"), name_set("stage 4")) == ("All gates", "Stage 4")


def doubted(doubt: float, **parts: tuple[float, float]) -> str:
    flows = {name.replace("_", " "): flow(*part, doubt) for name, part in parts.items()}
    return describe_rise(
        Trace(Target(1, 0), 0.0, 4.0, flows, torch.zeros(2, 2), 0.0, 7, 0.1), CLASSES, "noise"
    )


def test_a_part_below_the_error_of_the_sums_is_called_nothing():
    """-0.02 of a rise by 4 works against nothing where the sums may be off by 0.03; where by 0.01,
    it does.
    """
    parts = {"network": (4.02, -0.02)}
    assert "-0.02**, is no larger than its uncertainty (0.03): it cannot be told from 0" in doubted(
        0.03, **parts
    )
    assert "The gates opposed this" in doubted(0.01, **parts)


def test_two_stages_nearer_than_the_error_have_no_first():
    """1.00 and 0.98, each off by 0.02 at most, may be the other way round; off by 0.005 they may
    not.
    """
    parts = {"network": (3.0, 1.0), "stage_2": (3.0, 1.0), "stage_4": (3.02, 0.98)}
    assert "carried most cannot be told: stage 2 and stage 4 are too close" in doubted(
        0.02, **parts
    )
    assert "the gates of stage 2 carried most" in doubted(0.005, **parts)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            0.03,
            "completeness error is up to 0.03 logits (0.7 % of the total change), and each part is "
            "uncertain by about 0.04",
        ),
        (
            0.2,
            "up to 0.2 logits (4.8 % of the total change), and each part is uncertain by about "
            "0.2: more than the 1 % aimed at",
        ),
        (0.001, "up to 0.001 logits (less than 0.1 % of the total change)"),
    ],
)
def test_the_error_of_the_sums_is_said_in_logits_and_percent(error: float, words: str):
    """Of a rise by 4, by hand: what moves is 4 and the error."""
    flows = {
        "network": Flow(
            3.0, {"se": torch.tensor([1.0 + error])}, torch.zeros(2, 2), {}, error, max(error, 0.04)
        )
    }
    assert words in say_error(Trace(Target(1, 0), 0.0, 4.0, flows, torch.zeros(2, 2), 0.0, 7, 0.1))
