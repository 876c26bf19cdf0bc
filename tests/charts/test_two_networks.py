"""Two networks in one picture: one scale, and marks that keep their network."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from se_viz.charts import GATES, LIGHT, draw_depth, draw_pair

ANSWERS = pd.DataFrame({"class": ["ant", "<b>bee"], "first": [0.75, 0.25], "second": [0.1, 0.2]})


def depth(*means: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "block": [f"SE_2_{number}" for number in range(len(means))],
            "depth": np.linspace(0, 100, len(means)),
            "mean": means,
            "std": [mean / 2 for mean in means],
        }
    )


def test_both_probabilities_stand_in_the_row_of_their_class():
    """In percent, on an axis from 0 to 100; a line joins the two."""
    figure: Any = draw_pair(ANSWERS, LIGHT, names=("A", "B"))
    lines, first, second = figure.data
    assert tuple(figure.layout.xaxis.range) == (0, 100)
    assert list(first.x) == [75, 25]
    assert list(second.x) == pytest.approx([10, 20])
    assert list(first.y) == list(second.y)
    assert list(lines.x[:2]) == pytest.approx([75, 10])
    assert (first.name, second.name) == ("A", "B")
    assert first.marker.symbol != second.marker.symbol
    texts = [note.text for note in figure.layout.annotations]
    assert texts == [
        "<b>ant</b>",
        "75.0% · 10.0%",
        "<b>&lt;b&gt;bee</b>",
        "25.0% · 20.0%",
    ]


def test_mean_and_spread_of_both_share_their_axes():
    """The scale of gates is fixed; that of spreads holds the widest of all blocks."""
    tables = {"A": depth(0.2, 0.4, 0.6), "B": depth(0.1, 0.9)}
    figure: Any = draw_depth(tables, LIGHT, gates=GATES)
    means = {trace.name: list(trace.y) for trace in figure.data if trace.yaxis == "y"}
    spreads = {trace.name: list(trace.y) for trace in figure.data if trace.yaxis == "y2"}
    assert means == {"A": [0.2, 0.4, 0.6], "B": [0.1, 0.9]}
    assert spreads == {"A": [0.1, 0.2, 0.3], "B": [0.05, 0.45]}
    assert tuple(figure.layout.yaxis.range) == (0, 1)
    assert figure.layout.yaxis2.range[1] > 0.45


def test_the_second_network_keeps_its_colour_alone():
    """Above, its answers have the same mark."""
    figure: Any = draw_depth({"A": pd.DataFrame(), "B": depth(0.5)}, LIGHT, gates=GATES)
    assert {trace.name for trace in figure.data} == {"B"}
    assert {trace.line.color for trace in figure.data} == {LIGHT.series[1]}
