"""The numbers that the browser paints channels of the open block from."""

import base64
from typing import Any

import numpy as np

from se_viz.charts.channel_maps import lay_out_channels
from se_viz.charts.maps import draw_channels
from se_viz.charts.palettes import DARK, LIGHT
from tests.charts.test_maps import heats


def unpack(data: dict[str, Any]) -> np.ndarray:
    """Return the codes as the browser reads them: channels, before and after, height, width."""
    codes = np.frombuffer(base64.b64decode(data["codes"]), dtype=np.int8)
    return codes.reshape(len(data["channels"]), 2, *data["shape"])


def test_codes_come_channel_by_channel_before_then_after():
    """Worked by hand on -2..2 with a gate of 0.5: 2 has code 126 before, and 1 after is three
    quarters: 94. The second channel, whose gate is 1, looks the same twice.
    """
    features = np.array([[[2.0, 0.0], [-2.0, 1.0]], [[-1.0, 1.0], [0.0, 0.0]]])
    data = lay_out_channels(features, np.array([0.5, 1.0]), [0, 1], LIGHT)
    # 94.5 and 31.5 round to even; 0.5 lies at 0.625 of 126 = 78.75.
    first = [[[126, 63], [0, 94]], [[94, 63], [32, 79]]]
    second = [[[0, 126], [63, 63]]] * 2
    assert unpack(data).tolist() == [first, second]


def test_channels_stand_in_the_order_asked_for_under_their_gates():
    """Columns follow the list, each under its number and its gate to two digits; a map that is no
    square keeps its sides.
    """
    gates = np.array([0.1, 0.2, 0.987], dtype=np.float32)
    data = lay_out_channels(np.zeros((3, 2, 5), dtype=np.float32), gates, [2, 0], DARK)
    assert (data["channels"], data["gates"]) == ([2, 0], ["0.99", "0.10"])
    assert unpack(data).shape == (2, 2, 2, 5)
    assert data["rows"] == ("before", "after")
    assert data["colours"]["scale"] == DARK.diverging
    assert data["colours"]["clipped"] == [DARK.clipped_low, DARK.clipped_high]


def test_the_page_and_the_file_show_the_same_codes():
    """Two drawings of one block must agree: the canvases, and the figure that is downloaded."""
    random = np.random.default_rng(0)
    features, gates = random.normal(size=(6, 7, 7)), random.uniform(0, 1, 6)
    columns = unpack(lay_out_channels(features, gates, [4, 1, 5], LIGHT))
    figure = draw_channels(features, gates, [4, 1, 5], LIGHT)
    for codes, heat in zip(columns.reshape(6, 7, 7), heats(figure), strict=True):
        assert (heat == codes).all()
