"""Inputs of any shape on a flat grid."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from se_viz.charts import LIGHT, Map, depict, draw_overlay, draw_panel, fit_span, paint_map, spread


def test_a_photo_stays_as_it_is():
    """The very array: nothing is copied, nothing moved."""
    values = np.random.default_rng(0).standard_normal((224, 224))
    assert spread(values) is values


def test_a_signal_becomes_a_strip_of_means():
    """1,024 values in 512 columns: each the mean of two; a quarter as high as wide."""
    strip = spread(np.arange(1024.0))
    assert strip.shape == (128, 512)
    np.testing.assert_array_equal(strip, np.broadcast_to(np.arange(512) * 2 + 0.5, (128, 512)))


def test_a_short_signal_has_a_column_for_each_value():
    """Nothing is averaged that has room."""
    strip = spread(np.arange(12.0))
    assert strip.shape == (3, 12)
    np.testing.assert_array_equal(strip[0], np.arange(12.0))


def test_lengths_that_do_not_divide_lose_nothing():
    """Means of pieces, weighed by their lengths, are the mean of all."""
    values = np.random.default_rng(0).standard_normal(1000)
    edges = np.arange(513) * 1000 // 512
    assert spread(values)[0] @ np.diff(edges) == pytest.approx(values.sum())


def test_a_volume_becomes_a_sheet_of_slices():
    """Five slices in three columns and two rows, the sixth place empty."""
    volume = np.arange(5 * 2 * 3, dtype=float).reshape(5, 2, 3)
    sheet = spread(volume)
    assert sheet.shape == (4, 9)
    np.testing.assert_array_equal(sheet[:2, 3:6], volume[1])
    np.testing.assert_array_equal(sheet[2:, :3], volume[3])
    np.testing.assert_array_equal(sheet[2:, 6:], 0)


def test_a_deep_volume_shows_its_first_and_last_slice():
    """16 of 40."""
    volume = np.repeat(np.arange(40.0), 4).reshape(40, 2, 2)
    sheet = spread(volume)
    assert (sheet.shape, sheet[0, 0], sheet[-1, -1]) == ((8, 8), 0, 39)


def test_what_is_longer_than_four_times_its_height_is_stretched():
    """A spectrogram of 8 bands and 100 frames would be a line."""
    values = np.arange(800.0).reshape(8, 100)
    grid = spread(values)
    assert grid.shape == (32, 100)
    np.testing.assert_array_equal(grid[::4], values)


SHAPES = [(1, 600), (2, 30), (1, 32, 48), (5, 24, 32), (1, 6, 10, 12), (3, 8, 200)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_map_lies_on_the_picture_of_its_input(shape: tuple[int, ...]):
    """A whole number of pixels a cell, in all pictures of it."""
    inputs = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    picture = depict(inputs)
    values = inputs.sum(0)
    rows, columns = spread(values).shape
    assert picture.width * rows == picture.height * columns
    assert picture.width % columns == 0
    assert max(picture.size) >= 256
    span = fit_span(values, signed=True)
    overlay: Any = draw_overlay(picture, values, LIGHT, span=span, opacity=0.8, title="")
    assert overlay.data[0].z.shape == (rows, columns)
    draw_panel(picture, values, LIGHT, span=span, title="")
    assert paint_map(picture, Map(values, True), LIGHT, reach=1.0, opacity=1.0).size == picture.size


def test_a_picture_is_dark_where_an_input_is_low():
    """The mean over channels, from 0 to 255, each value a square of pixels."""
    inputs = np.array([[[0.0, 1.0], [2.0, 3.0]], [[0.0, 1.0], [2.0, 5.0]]])
    picture = np.asarray(depict(inputs))[..., 0]
    assert picture.shape == (256, 256)
    assert [
        int(picture[row, column]) for row, column in ((0, 0), (0, 255), (255, 0), (255, 255))
    ] == [
        0,
        64,
        128,
        255,
    ]


def test_a_curve_is_drawn_where_the_signal_is():
    """Ink high in the picture where it is high, low where it is low."""
    ink = (
        np.asarray(depict(np.repeat([[1.0, -1.0]], 300, axis=1).reshape(1, -1)).convert("L")) < 128
    )
    flat = np.asarray(depict(np.concatenate([np.ones((1, 256)), -np.ones((1, 256))], 1))) < 128
    top, bottom = flat[: flat.shape[0] // 2], flat[flat.shape[0] // 2 :]
    half = flat.shape[1] // 2
    assert top[:, : half - 2].any()
    assert not top[:, half + 2 :].any()
    assert bottom[:, half + 2 :].any()
    assert not bottom[:, : half - 2].any()
    # A value up, a value down: from end to end.
    assert ink.any(0).all()
    assert isinstance(depict(np.zeros((1, 50))), Image.Image)
