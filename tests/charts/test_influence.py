from typing import Any

import numpy as np
import pytest

from se_viz.charts.influence import draw_cells, draw_row, draw_strongest
from se_viz.charts.maps import Figure
from se_viz.charts.palettes import DARK, LIGHT, Palette
from se_viz.ui.microscope.influence import rank_influences


@pytest.fixture
def row() -> np.ndarray:
    """Return what 40 channels would do to one gate."""
    return np.random.default_rng(0).normal(size=40).astype(np.float32)


def traces(figure: Figure) -> list[Any]:
    """Return what is drawn: Plotly's own type of it says nothing."""
    return list(figure.data)


def test_bars_hold_the_entries_in_the_order_given(row: np.ndarray):
    """A bar is one derivative: its length the value, its custom data the channel that a click
    opens.
    """
    (bars,) = traces(draw_row(row, [3, 1, 17], LIGHT, own=17))
    assert list(bars.x) == [float(row[3]), float(row[1]), float(row[17])]
    assert list(bars.customdata) == ["3", "1", "17"]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_bars_are_orange_above_zero_and_blue_below(row: np.ndarray, palette: Palette):
    """The colours of all signed pictures, on an axis that is symmetric about 0."""
    up = int(row.argmax())
    down = int(row.argmin())
    figure = draw_row(row, [up, down], palette, own=0)
    assert list(traces(figure)[0].marker.color) == [
        palette.diverging[3][1],
        palette.diverging[1][1],
    ]
    low, high = figure.layout.xaxis.range
    assert low == -high
    assert high > abs(row[[up, down]]).max()


def test_a_channel_that_turns_itself_up_is_named(row: np.ndarray):
    """Whether a gate answers to its own channel is what a reader looks for."""
    assert list(draw_row(row, [3, 17], LIGHT, own=17).layout.yaxis.ticktext) == ["3", "17 (itself)"]


def test_the_ranking_holds_both_ends(row: np.ndarray):
    """The three largest, then the three most negative, from up to down; none twice."""
    order = np.argsort(-row)
    assert rank_influences(row, 3) == [*order[:3], *order[-3:]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.0], []), ([2.0, 1.0], [0, 1]), ([-1.0, -2.0], [0, 1]), ([0.0, 3.0, -1.0], [1, 2])],
    ids=["none", "up", "down", "both"],
)
def test_the_ranking_leaves_out_what_does_nothing(values: list[float], expected: list[int]):
    """A derivative of 0 turns nobody up, and where all have one sign there is no other end."""
    assert rank_influences(np.array(values)) == expected


def test_cells_lie_where_their_entries_are():
    """Four cells stand for eight channels: the middles are at 1, 3, 5 and 7 entries."""
    heat = traces(draw_cells(np.eye(4), LIGHT, size=8, mark=(2, 5)))[0]
    assert (heat.x0, heat.dx, heat.y0, heat.dy) == (1, 2, 1, 2)


def test_the_scale_of_cells_is_symmetric_about_zero():
    """Without an entry below 0 too: the colour of 0 must be that of no influence."""
    figure = draw_cells(np.array([[0.0, 0.5], [1.0, -1.0]]), LIGHT, size=2, mark=(0, 0))
    codes = np.asarray(traces(figure)[0].z).astype(int)
    # 0 is half way between the codes 0 and 126, by the definition of the scale.
    assert codes[0, 0] == 63
    assert codes[1, 0] - 63 == 63 - codes[1, 1] > codes[0, 1] - 63 > 0


def test_the_open_channel_is_marked_on_both_axes():
    """Rows and columns are sorted each by itself, so one channel stands at two places."""
    figure = draw_cells(np.zeros((4, 4)), LIGHT, size=8, mark=(2, 5))
    marks = traces(figure)[1]
    assert (marks.y[0], marks.x[1]) == (2.5, 5.5)


def test_a_click_on_a_strong_cell_opens_the_channel_of_its_gate():
    """Two gates by three squeezes: a target on each cell holds the gate's number, and says the
    exact entry.
    """
    values = np.array([[0.5, -0.25, 0.1], [0.2, 0.0, -0.5]])
    figure = draw_strongest(values, [7, 3], [9, 7, 1], LIGHT, own=7)
    heat, targets = traces(figure)
    assert list(zip(targets.x, targets.y, targets.customdata, strict=True)) == [
        (0, 0, "7"),
        (1, 0, "7"),
        (2, 0, "7"),
        (0, 1, "3"),
        (1, 1, "3"),
        (2, 1, "3"),
    ]
    assert targets.text[5] == "∂s<sub>3</sub>/∂z<sub>1</sub> = -0.5"
    # Half way for 0, and the ends for 0.5 and -0.5: the scale leaves nothing out.
    assert (heat.z[1][1], heat.z[0][0], heat.z[1][2]) == (63, 126, 0)
    assert list(figure.layout.yaxis.ticktext) == ["<b>7</b>", "3"]
    assert list(figure.layout.xaxis.ticktext) == ["9", "<b>7</b>", "1"]
