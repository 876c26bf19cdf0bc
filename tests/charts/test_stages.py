"""Small maps with gates, channels by what they add, and gates with a threshold: each draws its own
numbers.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from se_viz.charts.palettes import DARK, LIGHT
from se_viz.charts.recalibration import draw_makers
from se_viz.charts.scales import Span, encode
from se_viz.charts.se_vector import draw_threshold
from se_viz.charts.stages import draw_panel

PHOTO = Image.new("RGB", (32, 32), (200, 30, 30))
GATES = np.array([0.2, 0.9, 0.4, 0.7])


def parts(figure: Any) -> dict[str, Any]:
    """Return traces and layout as they were given: `to_dict` would pack the numbers."""
    return {"data": figure.data, "layout": figure.layout}


def panel(values: np.ndarray, span: Span, **more: Any) -> dict[str, Any]:
    return parts(draw_panel(PHOTO, values, LIGHT, span=span, title="against ← 0 → for", **more))


def test_a_map_lies_over_the_photo_on_the_scale_it_is_given():
    """Panels that are compared share a span: the same value must have the same colour in each."""
    values = np.array([[-1.0, 0.0], [0.5, 2.0]])
    figure = panel(values, Span(-2.0, 2.0))
    assert np.array_equal(figure["data"][0]["z"], encode(values, Span(-2.0, 2.0)))
    assert figure["layout"]["images"][0]["source"].startswith("data:image/jpeg")
    assert list(figure["layout"]["coloraxis"]["colorbar"]["ticktext"]) == ["-2", "0", "2"]
    assert figure["layout"]["coloraxis"]["colorbar"]["title"]["text"] == "against ← 0 → for"


@pytest.mark.parametrize(("low", "scale"), [(-1.0, LIGHT.veil), (0.0, LIGHT.glow)])
def test_only_a_signed_scale_has_two_colours(low: float, scale: list):
    """Blue would say *against* where nothing can be against."""
    colours = {
        colour
        for _, colour in panel(np.ones((2, 2)), Span(low, 1.0))["layout"]["coloraxis"]["colorscale"]
    }
    assert {colour for _, colour in scale} <= colours


def test_gates_are_sorted_on_their_own_scale_with_a_rule_at_its_middle():
    """0 to 1 with 0.5, whatever the map; four channels from the widest open down."""
    figure = panel(np.ones((2, 2)), Span(0.0, 1.0), curves={"SE_2_1": GATES[:3], "SE_2_2": GATES})
    first, last = figure["data"][1:]
    assert last["y"] == pytest.approx([0.9, 0.7, 0.4, 0.2])
    assert last["x"] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert first["y"] == pytest.approx([0.9, 0.4, 0.2])
    assert (first["line"]["color"], last["line"]["color"]) == (LIGHT.faint, LIGHT.accent)
    assert list(figure["layout"]["yaxis2"]["range"]) == [0, 1]
    assert [(shape["y0"], shape["y1"]) for shape in figure["layout"]["shapes"]] == [(0.5, 0.5)]
    assert figure["layout"]["xaxis2"]["title"]["text"] == "gate s of channels, widest first"


def test_many_gates_keep_their_order_and_their_ends():
    """A curve of 65 points is what a screen shows of a thousand: it begins and ends at the true
    extremes.
    """
    gates = np.random.default_rng(0).random(1024)
    curve = panel(np.ones((2, 2)), Span(0.0, 1.0), curves={"SE_5_1": gates})["data"][1]["y"]
    assert len(curve) == 65
    assert (curve[0], curve[-1]) == (pytest.approx(gates.max()), pytest.approx(gates.min()))
    assert curve[32] == pytest.approx(np.median(gates), abs=1e-3)
    assert (np.diff(curve) <= 0).all()


def test_a_panel_without_gates_has_no_second_pair_of_axes():
    """An empty plot below a map would be read as one without gates."""
    assert "xaxis2" not in panel(np.ones((2, 2)), Span(0.0, 1.0))["layout"].to_plotly_json()


def test_each_bar_is_a_channel_with_its_gate_and_answers_a_click():
    """The order is the table's, the largest on top; 0 is in the middle; the open channel has the
    accent.
    """
    table = pd.DataFrame({"channel": [7, 2], "gate": [0.25, 0.5], "difference": [-2.0, 1.0]})
    figure = parts(draw_makers(table, DARK, unit="cells summed", selected=2))
    bars = figure["data"][0]
    layout = figure["layout"]
    assert list(bars["y"]) == ["#7 · s = 0.25", "#2 · s = 0.50"]
    assert list(bars["x"]) == [-2.0, 1.0]
    assert list(bars["customdata"]) == ["7", "2"]
    assert list(bars["marker"]["color"]) == [DARK.series[0], DARK.accent]
    assert layout["xaxis"]["range"][0] == -layout["xaxis"]["range"][1]
    assert layout["xaxis"]["title"]["text"] == "after - before (cells summed)"
    assert layout["yaxis"]["autorange"] == "reversed"


def test_bars_without_a_difference_still_have_a_range():
    """A block whose gates change nothing is a result, not an error of the axis."""
    table = pd.DataFrame({"channel": [0], "gate": [1.0], "difference": [0.0]})
    low, high = parts(draw_makers(table, LIGHT, unit="cells summed"))["layout"]["xaxis"]["range"]
    assert low < 0 < high


def test_gates_above_the_threshold_have_a_colour_and_a_count():
    """Two of four lie above 0.5; bars begin at the scale's lower end, which for tanh is -1."""
    open_bars, other_bars = parts(draw_threshold(GATES, 0.5, LIGHT))["data"]
    assert (open_bars["name"], other_bars["name"]) == ("kept: 2", "left out: 2")
    assert (open_bars["y"], other_bars["y"]) == (
        pytest.approx([0.9, 0.7]),
        pytest.approx([0.4, 0.2]),
    )
    assert (list(open_bars["x"]), list(other_bars["x"])) == ([1, 2], [3, 4])
    signed = parts(draw_threshold(GATES, 0.5, LIGHT, span=Span(-1.0, 1.0)))
    assert signed["data"][0]["y"] == pytest.approx([1.9, 1.7])
    assert signed["data"][0]["base"] == -1
    assert [shape["y0"] for shape in signed["layout"]["shapes"]] == [0, 0.5]
