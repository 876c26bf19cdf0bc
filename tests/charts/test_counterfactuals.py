"""The pictures of the page on whether gates matter: every mark stands where its number is."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from se_viz.charts.counterfactuals import draw_counterfactuals
from se_viz.charts.effects import draw_effects, draw_shuffles
from se_viz.charts.palettes import DARK, LIGHT, Palette
from se_viz.charts.scales import Span


@pytest.fixture
def summary() -> pd.DataFrame:
    """Return two places and two kinds, one of which is repeated and flips."""
    return pd.DataFrame(
        {
            "kind": ["mean", "mean", "shuffle", "shuffle"],
            "place": ["SE_2_1", "SE_2_2"] * 2,
            "path": ["a", "b"] * 2,
            "change": [0.01, -0.02, -0.3, 0.1],
            "change_low": [0.01, -0.02, -0.35, 0.08],
            "change_high": [0.01, -0.02, -0.2, 0.12],
            "divergence": [0.001, 0.002, 0.5, 0.1],
            "divergence_low": [0.001, 0.002, 0.4, 0.05],
            "divergence_high": [0.001, 0.002, 0.6, 0.15],
            "kept": [1.0, 1.0, 0.4, 1.0],
            "count": [1, 1, 5, 5],
        }
    )


@pytest.fixture
def effects() -> pd.DataFrame:
    """Return four channels."""
    return pd.DataFrame(
        {"channel": range(4), "gate": [0.1, 0.5, 0.9, 1.0], "effect": [0.4, -0.8, 0.0, 0.1]}
    )


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_changes_are_drawn_in_points_and_divergences_in_nats(
    summary: pd.DataFrame, palette: Palette
):
    """Each kind has a line in each panel; percentage points are 100 times a probability's
    change.
    """
    figure: Any = draw_counterfactuals(summary, palette)
    lines = {(trace.name, trace.yaxis): trace for trace in figure.data}
    np.testing.assert_allclose(lines["Mean gates", "y"].y, [1, -2])
    np.testing.assert_allclose(lines["Shuffled", "y"].y, [-30, 10])
    np.testing.assert_allclose(lines["Shuffled", "y"].error_y.array, [10, 2])
    np.testing.assert_allclose(lines["Shuffled", "y"].error_y.arrayminus, [5, 2])
    np.testing.assert_allclose(lines["Shuffled", "y2"].y, [0.5, 0.1])
    assert not lines["Mean gates", "y"].error_y.visible
    assert list(lines["Shuffled", "y"].customdata) == ["a", "b"]


def test_a_flipped_label_is_hollow(summary: pd.DataFrame):
    """Where a label flipped in any repeat the mark is open; colour alone would not tell."""
    figure: Any = draw_counterfactuals(summary, LIGHT)
    shuffled = next(trace for trace in figure.data if trace.name == "Shuffled")
    assert list(shuffled.marker.symbol) == ["square-open", "square"]


def test_depth_runs_to_the_right_and_no_mark_leaves_the_plot(summary: pd.DataFrame):
    """Places in order; the upper axis is symmetric about 0, and both hold every bar."""
    figure: Any = draw_counterfactuals(summary, LIGHT, kind="mean")
    layout = figure.layout
    assert list(layout.xaxis.ticktext) == ["SE_2_1", "SE_2_2"]
    assert layout.yaxis.range[0] == -layout.yaxis.range[1]
    assert layout.yaxis.range[1] >= 35
    assert layout.yaxis2.range[1] >= 0.6


def test_kinds_that_were_not_chosen_stand_back(summary: pd.DataFrame):
    """The chosen one is in front of those it is compared with."""
    figure: Any = draw_counterfactuals(summary, LIGHT, kind="mean")
    assert {(trace.name, trace.opacity == 1) for trace in figure.data} == {
        ("Mean gates", True),
        ("Shuffled", False),
    }


def test_each_lender_is_a_dot(summary: pd.DataFrame):
    """The spread over lenders is seen, not only summed up: every one has a dot, inside of the
    axes, at its place.
    """
    dots = pd.DataFrame(
        {
            "place": ["SE_2_1"] * 3 + ["SE_2_2"] * 3 + ["SE_2_1"],
            "path": ["a"] * 3 + ["b"] * 3 + ["a"],
            "lender": ["cat", "cup", "dog"] * 2 + [""],
            "change": [0.1, 0.2, -0.6, 0.0, 0.0, 0.1, 0.9],
            "divergence": [0.1, 0.2, 1.5, 0.0, 0.0, 0.1, 0.9],
        }
    )
    lenders = summary.assign(kind=["mean", "mean", "other", "other"])
    figure: Any = draw_counterfactuals(lenders, LIGHT, dots=dots)
    above, below = (
        trace for trace in figure.data if trace.name == "Other images'" and trace.mode == "markers"
    )
    np.testing.assert_allclose(above.y, [10, 20, -60, 0, 0, 10])
    np.testing.assert_allclose(below.y, [0.1, 0.2, 1.5, 0, 0, 0.1])
    assert np.round(above.x).tolist() == [0, 0, 0, 1, 1, 1]
    assert list(above.customdata) == ["a"] * 3 + ["b"] * 3
    assert figure.layout.yaxis.range[1] >= 60
    assert figure.layout.yaxis2.range[1] >= 1.5


def test_nothing_moved_still_has_axes(summary: pd.DataFrame):
    """A block whose gates are constant changes nothing: an axis from 0 to 0 cannot be drawn, and
    one that fitted rounding would look like an effect.
    """
    columns = [f"{name}{end}" for name in ("change", "divergence") for end in ("", "_low", "_high")]
    still = summary.assign(**dict.fromkeys(columns, 0.0))
    figure: Any = draw_counterfactuals(still, LIGHT)
    layout = figure.layout
    assert tuple(layout.yaxis.range) == (-10, 10)
    assert layout.yaxis2.range[1] == 0.1


@pytest.mark.parametrize("share", [0.01, 0.08])
def test_axes_are_never_finer_than_what_counts_as_much(summary: pd.DataFrame, share: float):
    """A tenth of a point that fills a figure would be taken for a change."""
    columns = [f"{name}{end}" for name in ("change", "divergence") for end in ("", "_low", "_high")]
    figure: Any = draw_counterfactuals(summary.assign(**dict.fromkeys(columns, share)), LIGHT)
    assert tuple(figure.layout.yaxis.range) == (-10, 10)
    assert figure.layout.yaxis2.range[1] == 0.1


def test_every_channel_is_drawn_once_at_its_gate_and_effect(effects: pd.DataFrame):
    """Marked channels have another look, not another place; a ring lies around the open one."""
    figure: Any = draw_effects(effects, LIGHT, useless=[2], decisive=[0], selected=1)
    *points, ring = figure.data
    places = {
        channel: (x, y)
        for trace in points
        for channel, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }
    assert places == {"0": (0.1, 0.4), "1": (0.5, -0.8), "2": (0.9, 0.0), "3": (1.0, 0.1)}
    assert [(trace.name, list(trace.customdata)) for trace in points[1:]] == [
        ("large gate, little effect", ["2"]),
        ("small gate, large effect", ["0"]),
    ]
    assert (list(ring.x), list(ring.y)) == ([0.5], [-0.8])


def test_gates_have_their_scale_and_effects_are_symmetric(effects: pd.DataFrame):
    """0 to 1 with a rule at 0.5, whatever the block; a gate function of another range has its
    own.
    """
    figure: Any = draw_effects(effects, LIGHT)
    low, high = figure.layout.xaxis.range
    assert low < 0 < 1 < high
    assert figure.layout.yaxis.range[0] == -figure.layout.yaxis.range[1]
    assert 0.5 in [shape.x0 for shape in figure.layout.shapes]
    wide: Any = draw_effects(effects, LIGHT, span=Span(0.0, 6.0))
    assert wide.layout.xaxis.range[1] > 6


def test_shuffles_are_counted_and_the_value_is_marked():
    """Every shuffle is in one bar; the line stands at the value, the shade from one end of the
    band to the other.
    """
    figure: Any = draw_shuffles(np.array([-0.51, 0.11, 0.111, 0.31]), 0.7, (-0.5, 0.3), LIGHT)
    (bars,) = figure.data
    assert sum(bars.y) == 4
    counts = [(float(x), y) for x, y in zip(bars.x, bars.y, strict=True) if y]
    assert counts == [
        (pytest.approx(-0.5125), 1),
        (pytest.approx(0.1125), 2),
        (pytest.approx(0.3125), 1),
    ]
    shade, line = figure.layout.shapes
    assert (shade.x0, shade.x1) == (-0.5, 0.3)
    assert line.x0 == line.x1 == 0.7
    assert list(figure.layout.xaxis.range) == [-1, 1]
