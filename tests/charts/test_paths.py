"""Bars and maps show the numbers they are given, on scales that are shared."""

import numpy as np
import pandas as pd
import pytest

from se_viz.charts.palettes import LIGHT
from se_viz.charts.paths import draw_flows, sum_cells

TABLE = pd.DataFrame(
    {
        "place": ["All gates", "Stage 2"],
        "past": [3.5, 0.9],
        "through": [-2.3, 0.3],
        "path": ["a", "b"],
    }
)


def test_a_row_has_both_parts_with_their_numbers():
    """Signed, from a common zero, and the first place is at the top."""
    figure = draw_flows(TABLE, 1.2, LIGHT).to_dict()
    past, through = figure["data"]
    assert [*past["x"]] == [3.5, 0.9]
    assert [*through["x"]] == [-2.3, 0.3]
    assert [*through["text"]] == ["-2.30", "+0.30"]
    assert [*past["y"]] == ["All gates", "Stage 2"]
    assert figure["layout"]["yaxis"]["autorange"] == "reversed"
    assert [*past["customdata"]] == ["a", "b"]


def test_the_rise_is_a_rule_and_in_the_axis_title():
    """What both parts of every row add up to."""
    layout = draw_flows(TABLE, 1.2, LIGHT).to_dict()["layout"]
    assert (layout["shapes"][0]["x0"], layout["shapes"][0]["x1"]) == (1.2, 1.2)
    assert layout["xaxis"]["title"]["text"] == "logits (dotted: the rise, +1.20)"


def test_every_number_has_room_on_the_axis():
    """Numbers stand beyond the ends of the bars."""
    low, high = draw_flows(TABLE, 1.2, LIGHT).to_dict()["layout"]["xaxis"]["range"]
    assert low < -2.3 - 0.1 * 5.8
    assert high > 3.5 + 0.1 * 5.8


def test_where_nothing_moved_there_is_still_an_axis():
    """A range of no width would draw nothing."""
    low, high = draw_flows(TABLE.assign(past=0.0, through=0.0), 0.0, LIGHT).to_dict()["layout"][
        "xaxis"
    ]["range"]
    assert low < 0 < high


def test_one_part_alone_has_no_legend_and_a_scale_of_its_own():
    """Blocks are drawn with what came through them only: on the scale of a rise of 120 they would
    be lines.
    """
    figure = draw_flows(TABLE.assign(past=np.nan), 120.0, LIGHT).to_dict()
    layout = figure["layout"]
    assert len(figure["data"]) == 1
    assert layout["showlegend"] is False
    assert "shapes" not in layout or not layout["shapes"]
    assert layout["xaxis"]["range"][1] < 1
    assert layout["xaxis"]["title"]["text"] == "logits, of a rise by +120.00"


@pytest.mark.parametrize(("side", "cells"), [(192, 32), (224, 28), (64, 32), (299, 299), (20, 20)])
def test_cells_are_sums_that_lose_nothing(side: int, cells: int):
    """Whole cells of equal size, 28 or more along a side; a prime side keeps its pixels."""
    values = np.random.default_rng(0).normal(size=(side, side))
    sums = sum_cells(values)
    assert sums.shape == (cells, cells)
    assert sums.sum() == pytest.approx(values.sum())
    step = side // cells
    assert sums[0, 1] == pytest.approx(values[:step, step : 2 * step].sum())
