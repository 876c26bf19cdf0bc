"""What stands beside bars and in sentences can be told from 0, and from its neighbours."""

import pytest

from se_viz.charts.numbers import count_decimals, signed


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        ([3.61, -0.003], 2),
        ([120.0], 2),
        ([0.5], 2),
        ([0.05, 0.01], 3),
        ([-0.0012, 0.0001], 4),
        ([1e-11], 5),
        ([0.0], 2),
        ([], 2),
    ],
)
def test_the_largest_number_shows_two_figures(values: list[float], decimals: int):
    """A network that hardly moves has rises of a thousandth of a logit: each bar said +0.00."""
    assert count_decimals(values) == decimals


def test_a_missing_number_has_no_say():
    """A bar that is not drawn has no text either."""
    assert count_decimals([float("nan"), 0.02]) == 3


def test_nothing_has_no_sign():
    """-0.00 reads as if something were known about its sign."""
    assert [signed(value) for value in (-0.003, 0.0, 0.006, -1.5)] == [
        "0.00",
        "0.00",
        "+0.01",
        "-1.50",
    ]
    assert signed(-0.003, 3) == "-0.003"
