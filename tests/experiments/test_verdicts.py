from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from se_viz.experiments.analysis import analyse
from se_viz.experiments.counterfactuals import Counterfactual, GateSet, gates_of, run_lenders
from se_viz.experiments.verdicts import (
    FEWEST,
    UNTOLD,
    VERDICTS,
    describe,
    describe_kind,
    describe_many,
    find_furthest,
    grade,
    judge,
)
from se_viz.networks import Network
from se_viz.networks.lenders import Lender
from tests import ROOT

pytestmark = pytest.mark.slow

CLASSES = ("ant", "bee")
CHANGES = (0.0, -0.05, -0.5)
"""Changes of probability that leave an answer as it is, move it a little, and much."""


def moved(
    kind: str = "other",
    *,
    to: float = 0.8,
    divergence: float = 0.0,
    answer: int = 0,
    place: str = "Network",
    lender: int = 0,
) -> Counterfactual:
    """Return a replacement that leaves a probability of 0.8 at another one."""
    name = f"lender {lender}" if kind == "other" else ""
    return Counterfactual(
        kind, GateSet(place, (place,)), lender, 0, answer, 0.8, to, divergence, name
    )


def lent(levels: Sequence[int], place: str = "Network") -> list[Counterfactual]:
    """Return what came of lenders that move the answer not at all (0), a little (1) and much
    (2).
    """
    return [
        moved(to=0.8 + CHANGES[level], lender=number, place=place)
        for number, level in enumerate(levels)
    ]


@pytest.mark.parametrize(
    ("counterfactual", "level"),
    [
        (moved(to=0.809, divergence=0.009), 0),
        (moved(to=0.811), 1),
        (moved(to=0.789), 1),
        (moved(divergence=0.01), 1),
        (moved(to=0.899, divergence=0.099), 1),
        (moved(to=0.69), 2),
        (moved(to=0.91), 2),
        (moved(divergence=0.1), 2),
        (moved(to=0.799, answer=1), 2),
    ],
)
def test_a_grade_follows_the_stated_thresholds(counterfactual: Counterfactual, level: int):
    """A flip, 10 points or 0.1 nats; 1 point or 0.01 nats; less, in both directions."""
    assert grade(counterfactual) == level


@pytest.mark.parametrize(("level", "words"), [*enumerate(VERDICTS)])
def test_a_word_is_said_where_nearly_all_lenders_agree(level: int, words: str):
    """Thirty lenders: 27 are nine in ten, 26 are not; who moves the answer otherwise does not
    count.
    """
    dissent = (level + 1) % 3
    assert judge(lent([level] * 30)).words == words
    assert judge(lent([level] * 27 + [dissent] * 3)).words == words
    assert judge(lent([level] * 26 + [dissent] * 4)).words == UNTOLD


def test_few_lenders_are_not_enough():
    """Ten of ten are seen once in 18 times where only three quarters of all images agree; eleven
    of eleven less.
    """
    assert FEWEST == 11
    assert judge(lent([2] * 10)).words == UNTOLD
    assert judge(lent([2] * 11)).words == "mattered"
    assert judge(lent([2] * 10 + [0])).words == UNTOLD
    sentence = describe(judge(lent([2] * 6)), CLASSES)
    assert sentence.startswith(
        "Whether input-dependent gating mattered cannot be told from 6 other images: of their "
        "gates 0 leave the answer as it is, 0 move it a little and 6 much. 11 lenders that agree "
        "are needed; add 5 more."
    )


@pytest.mark.parametrize("lenders", [6, 11, 20, 30, 66])
def test_the_wrong_word_is_seldom_said(lenders: int):
    """Three quarters of all images would move the answer much, not nearly all: 1 draw in 20 says
    so at most.
    """
    dice = np.random.default_rng(7)
    draws = 300
    rows = dice.choice(3, size=(draws, lenders), p=[0.05, 0.2, 0.75]).tolist()
    words = [judge(lent(row)).words for row in rows]
    assert {*words} <= {"mattered", UNTOLD}
    # Four standard errors of a share of 0.05 in 300 draws are 0.05.
    assert words.count("mattered") / draws < 0.05 + 0.05


def test_two_sets_of_lenders_never_say_two_different_words():
    """Whatever a crowd does, one set of lenders and another may differ in whether they tell,
    hardly in what.
    """
    dice = np.random.default_rng(8)
    contradictions = 0
    differences = 0
    for _ in range(200):
        crowd = dice.dirichlet([0.5, 0.5, 0.5])
        words = {judge(lent(dice.choice(3, size=30, p=crowd).tolist())).words for _ in range(3)}
        contradictions += len(words - {UNTOLD}) > 1
        differences += len(words) > 1
    assert contradictions == 0
    assert differences / 200 < 0.25


def test_a_lender_counts_by_the_place_where_it_moves_the_answer_most():
    """In two places, each of which half of the lenders move: all of them move it somewhere."""
    first = lent([2] * 6 + [0] * 6, "SE_2_1")
    second = lent([0] * 6 + [2] * 6, "SE_2_2")
    verdict = judge([*first, *second])
    assert verdict.words == "mattered"
    assert verdict.counts == (0, 0, 12)
    assert judge([*lent([0] * 12, "SE_2_1"), *lent([0] * 12, "SE_2_2")]).words == "did not matter"


def test_where_it_moved_most_is_the_row_with_the_largest_change():
    """A flip, or a divergence, is no larger change: the row is found again in the table by its
    median.
    """
    flips = [
        moved(to=0.75, answer=1, divergence=3.0, place="SE_2_1", lender=number)
        for number in range(12)
    ]
    far = [moved(to=0.8 + 0.01 * number, place="SE_5_3", lender=number) for number in range(12)]
    verdict = judge([*flips, *far])
    assert verdict.place == "SE_5_3"
    assert verdict.changes == pytest.approx((0.0275, 0.055, 0.0825))
    sentence = describe(verdict, CLASSES)
    assert (
        "The probability of the class moves most in SE_5_3: +5.5 points in the median, +2.8 to "
        "+8.2 for the middle half of the lenders."
    ) in sentence


def test_the_sentence_names_lenders_and_numbers():
    """Everything a reader needs to repeat it: how many lend, how many agree, where, and how far it
    moves.
    """
    sentence = describe(judge(lent([2] * 28 + [0, 1])), CLASSES, mean=[moved("mean", to=0.7)])
    assert sentence == (
        "Input-dependent gating mattered here: the gates of 28 of 30 other images move the answer "
        "much. The probability of the class moves by -50.0 points in the median, -50.0 to -50.0 "
        "for the middle half of the lenders. With the lenders' mean gates, one fixed choice, the "
        "label stays and ant goes from 80.0% to 70.0% (KL 0.000 nats)."
    )
    untold = describe(judge(lent([2] * 10 + [1] * 12 + [0] * 8)), CLASSES)
    assert untold.startswith(
        "Whether input-dependent gating mattered cannot be told here: the answer depends on the "
        "lender. Of the gates of 30 other images, 8 leave the answer as it is, 12 move it a little "
        "and 10 much."
    )
    close = describe(judge(lent([2] * 10 + [0])), CLASSES)
    assert "cannot be told here: so few lenders do not show what nearly all would do." in close


def test_all_ones_conclude_nothing():
    """No image opens every gate: what follows then is outside of what the network was trained on,
    and is said to be.
    """
    calm = judge(lent([0] * 30))
    assert "All ones" not in describe(calm, CLASSES, ones=[moved("ones", to=0.801)])
    sentence = describe(calm, CLASSES, ones=[moved("ones", answer=1)])
    assert "All ones: the label turns to bee" in sentence
    assert sentence.endswith(
        "This alone does not show that the network needs its gates: no image has such gates, so "
        "later layers get inputs unlike their training inputs."
    )


def test_several_images_are_counted():
    """One line: how many of each verdict, whatever shuffles and ones did; then the rules."""
    images = [
        lent([2] * 12),
        [*lent([1] * 12), moved("ones", answer=1)],
        [*lent([0] * 12), moved("shuffle", answer=1)],
    ]
    first, rules = describe_many([*images, lent([0, 2] * 6)], CLASSES)
    assert first == (
        "Input-dependent gating mattered for 1, mattered a little for 1, did not matter for 1 of 4 "
        "images, and cannot be told for 1; each got the gates of 12 other images."
    )
    assert "at least 10 points" in rules
    assert "fewer than 11 lenders never suffice" in rules


def test_without_the_gates_of_others_there_is_no_verdict():
    """Neither all ones nor one mean can tell whether it matters that gates depend on the image."""
    assert [*describe_many([[moved("ones", answer=1), moved("mean", answer=1)]], CLASSES)] == []


def noise(seed: int) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    )


def lenders_of(network: Network, seeds: range) -> list[Lender]:
    return [
        Lender(f"noise {seed}", f"{seed}", gates_of(analyse(network, noise(seed))))
        for seed in seeds
    ]


def make_static(network: Network, blocks: Sequence[str], dice: torch.Generator) -> None:
    """Draw the gates of blocks anew, and make them the same for every image."""
    for block in blocks:
        last = network.model.get_submodule(f"{block}.fc2")
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        last.weight.zero_()
        last.bias.copy_(torch.randn(last.bias.shape, generator=dice))


@pytest.mark.parametrize("scope", ["block", "network"])
def test_static_gates_never_matter(shallow: Network, scope: str):
    """Gates that are the same for every image cannot have mattered, whatever they are: not one
    wrong word in five.
    """
    dice = torch.Generator().manual_seed(0)
    words = []
    for draw in range(5):
        make_static(shallow, [site.block for site in shallow.inspection.sites], dice)
        lenders = lenders_of(shallow, range(12))
        words.append(judge(run_lenders(shallow, noise(100 + draw), lenders, scope)).words)
    assert words == ["did not matter"] * 5


def test_the_one_block_whose_gates_decide_is_named(shallow: Network):
    """All blocks are static but one, whose lent gates are far from the image's own: only there
    anything moves.
    """
    blocks = [site.block for site in shallow.inspection.sites]
    dice = torch.Generator().manual_seed(1)
    head = shallow.model.get_submodule("fc")
    assert isinstance(head, nn.Linear)
    head.weight.mul_(9)
    for draw, decisive in enumerate(blocks):
        make_static(shallow, [block for block in blocks if block != decisive], dice)
        lenders = []
        for lender in lenders_of(shallow, range(12)):
            gates = {**lender.gates, decisive: 0.02 * lender.gates[decisive]}
            lenders.append(Lender(lender.name, lender.digest, gates))
        verdict = judge(run_lenders(shallow, noise(200 + draw), lenders, "block"))
        assert verdict.place == f"SE_{draw + 2}_1"
        # Of an untrained network: only what stands right before its answer moves it by ten points.
        assert verdict.words == "mattered" or decisive != blocks[-1]


def test_lenders_that_do_not_agree_are_not_summed_up(shallow: Network):
    """Half of the lenders have the image's own gates and half have them shut: no word is right."""
    own = gates_of(analyse(shallow, noise(5)))
    shut = {name: torch.zeros_like(gates) for name, gates in own.items()}
    head = shallow.model.get_submodule("fc")
    assert isinstance(head, nn.Linear)
    head.weight.mul_(30)
    lenders = [Lender(f"{number}", f"{number}", (own, shut)[number % 2]) for number in range(20)]
    verdict = judge(run_lenders(shallow, noise(5), lenders, "network"))
    assert verdict.words == UNTOLD
    assert verdict.counts[0] == 10


def test_docs_state_the_rule():
    """The page of error rates must not outlive the rule that it speaks of."""
    words = " ".join((ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8").split())
    assert "at least 90 % of the lenders" in words
    assert f"from {FEWEST} lenders on" in words


def test_one_kind_is_told_by_what_it_does():
    """Of one replacement: what becomes of the answer, and from where to where."""
    words, reasons = describe_kind([moved("mean", to=0.75, divergence=0.02)], CLASSES)
    assert words == "With mean gates the answer moves a little"
    assert reasons == "the label stays and ant goes from 80.0% to 75.0% (KL 0.020 nats)."
    assert describe_kind([moved("mean", to=0.801)], CLASSES)[0].endswith("stays as it is")
    one = describe_kind([moved(to=0.1, answer=1)], CLASSES)
    assert one[0] == "With the gates of lender 0 the answer moves much"
    assert one[1].startswith("the label turns to bee and ant goes from 80.0% to 10.0%")


def test_of_several_places_the_furthest_is_named_and_flips_are_counted():
    """-0.3 is further from 0 than 0.1, wherever a label flips."""
    rows = [
        moved("ones", to=0.9, place="SE_2_1", answer=1),
        moved("ones", to=0.5, place="SE_2_2"),
        moved("ones", to=0.8, place="SE_3_1"),
    ]
    words, reasons = describe_kind(rows, CLASSES)
    assert words == "With all gates at 1 the answer moves much"
    assert reasons.startswith("most in SE_2_2, where the label stays and ant goes from 80.0% to 50")
    assert "The label flips in 1 of 3 places." in reasons
    assert "no image has such gates" in reasons


def test_shuffles_are_told_by_their_median():
    """0.8 to 0.1, 0.7, 0.72, 0.79 and 0.8: the middle one of five moves by -8 points, a little."""
    rows = [
        replace(moved("shuffle", to=to, answer=int(to < 0.5)), repeat=number)
        for number, to in enumerate((0.1, 0.7, 0.72, 0.79, 0.8))
    ]
    words, reasons = describe_kind(rows, CLASSES)
    assert words == "With shuffled gates the answer moves a little"
    assert reasons == (
        "ant moves by -8.0 points in the median of 5 shuffles and the label flips in 1 of them."
    )


def test_furthest_is_by_the_median_over_lenders():
    """One odd lender names no place."""
    rows = [*lent([0, 0, 2], "SE_2_1"), *lent([1, 1, 1], "SE_2_2")]
    assert find_furthest(rows) == "SE_2_2"
    assert judge(rows).place == "SE_2_2"
