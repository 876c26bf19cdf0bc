from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from se_viz.charts.channel import draw_places, draw_strip
from se_viz.charts.palettes import DARK, LIGHT
from se_viz.charts.scales import GATES, Span
from se_viz.gates.peaks import Peak


def heat(figure: go.Figure) -> Any:
    (trace,) = [trace for trace in figure.data if isinstance(trace, go.Heatmap)]
    return trace


def places(features: np.ndarray, peaks: list[Peak], side: int = 60) -> go.Figure:
    return draw_places(Image.new("RGB", (side, side)), features, peaks, LIGHT, title="U")


@pytest.mark.parametrize(("cells", "side"), [((2, 3), 60), ((7, 7), 60), ((9, 9), 64)])
def test_each_pixel_has_the_colour_of_its_cell(cells, side):
    """Looked up one by one: pixel i of n lies in cell floor(i h / n), also where cells are no
    whole pixels.
    """
    features = np.arange(cells[0] * cells[1], dtype=np.float32).reshape(cells)
    codes = heat(places(features, [], side)).z
    assert codes.shape == (side, side)
    for row in range(0, side, 5):
        for column in range(0, side, 7):
            value = features[int(row * cells[0] / side), int(column * cells[1] / side)]
            # Symmetric about 0, which is code 63; the greatest is 126.
            assert codes[row, column] == pytest.approx(63 + 63 * value / features.max(), abs=0.5)


def test_a_peak_is_framed_on_its_cell():
    """Cell (1, 2) of 2 x 3 on 60 pixels spans rows 30 to 60 and columns 40 to 60; pixel centres
    are whole numbers.
    """
    figure = places(np.eye(2, 3, dtype=np.float32), [Peak(1, 2, 0.5)])
    frames = [(shape.x0, shape.x1, shape.y0, shape.y1) for shape in figure.layout.shapes]
    assert set(frames) == {(39.5, 59.5, 29.5, 59.5)}
    (note,) = figure.layout.annotations
    assert (note.text, note.x, note.y) == ("<b>1</b>", 49.5, 44.5)


@pytest.mark.parametrize(("row", "edge", "side"), [(0, 1.5, "top"), (20, 39.5, "bottom")])
def test_a_number_does_not_cover_a_small_cell(row, edge, side):
    """On 30 x 30 cells of two pixels it ends at the upper edge, or begins at the lower one where
    the picture ends.

    Both are places of the picture, so it is the same on a screen of any width.
    """
    (note,) = places(np.eye(30, dtype=np.float32), [Peak(row, 3, 1.0)]).layout.annotations
    assert (note.y, note.yanchor) == (edge, side)


def test_peaks_are_numbered_in_their_order():
    """The caption names values by these numbers."""
    figure = places(np.eye(2, dtype=np.float32), [Peak(0, 0, 1.0), Peak(1, 1, 1.0)])
    assert [note.text for note in figure.layout.annotations] == ["<b>1</b>", "<b>2</b>"]


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_the_strip_has_a_dot_for_each_image_and_a_diamond_for_one(palette):
    """Positions are the gates themselves, on the fixed scale with a rule at the sigmoid of 0."""
    figure = draw_strip([0.2, 0.9, 0.6], ["a", "b", "c"], palette, marked=1, span=GATES)
    dots: Any = figure.data[0]
    assert list(dots.x) == [0.2, 0.9, 0.6]
    assert list(dots.text) == ["a", "b", "c"]
    assert list(dots.marker.symbol) == ["circle", "diamond", "circle"]
    assert figure.layout.xaxis.range == (0, 1)
    assert [shape.x0 for shape in figure.layout.shapes] == [0.5]
    assert figure.layout.xaxis.title.text == "gate"


def test_the_strip_marks_none_where_the_image_is_not_in_the_gallery():
    """Photos that are too large for the session's memory leave the gallery."""
    dots: Any = draw_strip([0.2], ["a"], LIGHT, marked=-1, span=GATES).data[0]
    assert list(dots.marker.symbol) == ["circle"]


def test_the_strip_has_the_scale_of_its_gate_function():
    """A gate of tanh runs from -1 to 1, with its rule at 0."""
    figure = draw_strip([0.2], ["a"], LIGHT, marked=0, span=Span(-1.0, 1.0))
    assert figure.layout.xaxis.range == (-1, 1)
    assert figure.layout.shapes[0].x0 == 0
