"""Two networks before one image, as tables: the same classes in one row, blocks by depth."""

import pytest
import torch

from se_viz.experiments import Analysis, match_classes, pair_answers, tabulate_depth
from se_viz.gates import GateRecord


def answer(*shares: float) -> Analysis:
    values = torch.tensor(shares)
    return Analysis(values, (), values.log())


MATCHES = [
    (("a", "b"), ("a", "b"), {0: 0, 1: 1}),
    (("a", "b", "c"), ("c", "x", "a"), {0: 2, 2: 0}),
    (("a",), ("b",), {}),
    # Two cranes, a bird and a machine, are one class in equal lists alone.
    (("crane", "a", "crane"), ("crane", "a", "crane"), {0: 0, 1: 1, 2: 2}),
    (("crane", "a", "crane"), ("crane", "a"), {1: 1}),
    # Numbers stand for names that nobody knows.
    (("class 0", "class 1"), ("class 0", "class 1"), {0: 0, 1: 1}),
    (("class 0", "class 1"), ("class 0", "class 1", "class 2"), {}),
]


@pytest.mark.parametrize(("first", "second", "expected"), MATCHES)
def test_classes_match_by_name(
    first: tuple[str, ...], second: tuple[str, ...], expected: dict[int, int]
):
    """A class that is taken for another one would be compared with nothing."""
    assert match_classes(first, second) == expected


def test_a_row_is_a_class_among_the_best_of_either():
    """By hand: the first network's two best, then the second's that is not among them."""
    first, second = answer(0.1, 0.5, 0.1, 0.3), answer(0.2, 0.1, 0.6, 0.1)
    table = pair_answers(first, second, "abcd", {0: 0, 1: 1, 2: 2, 3: 3}, count=2)
    assert table["class"].tolist() == ["b", "d", "c", "a"]
    assert table["first"].tolist() == pytest.approx([0.5, 0.3, 0.1, 0.1])
    assert table["second"].tolist() == pytest.approx([0.1, 0.1, 0.6, 0.2])


def test_of_other_lists_only_what_both_know_has_a_row():
    """The second network's probability stands under its own number."""
    first, second = answer(0.7, 0.3), answer(0.25, 0.75)
    table = pair_answers(first, second, ("x", "b"), {1: 0}, count=5)
    assert table.values.tolist() == [["b", pytest.approx(0.3), pytest.approx(0.25)]]


def record(block: str, *gates: float) -> GateRecord:
    values = torch.tensor([gates])
    return GateRecord(block=block, stage=2, squeeze=values, gate=values)


def test_depth_runs_from_the_first_block_to_the_last():
    """Networks of any number of blocks have the same ends; a single block is in the middle."""
    records = [record("a", 0.2, 0.4), record("b", 0.5, 0.5), record("c", 0.0, 1.0)]
    table = tabulate_depth(records)
    assert table["depth"].tolist() == [0, 50, 100]
    assert table["mean"].tolist() == pytest.approx([0.3, 0.5, 0.5])
    assert table["std"].tolist() == pytest.approx([0.1, 0.0, 0.5])
    assert tabulate_depth(records[:1])["depth"].tolist() == [50]
