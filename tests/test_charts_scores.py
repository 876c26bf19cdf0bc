"""Curves and likenesses are drawn as they are, and controls never look like maps."""

from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from plotly.basedatatypes import BaseTraceType
from plotly.graph_objects import Figure

from se_viz.charts.palettes import LIGHT
from se_viz.charts.scores import draw_curves, draw_steps


@pytest.fixture
def table() -> pd.DataFrame:
    """Six maps and a control of two draws, with two points on each of two curves."""
    names = [*(f"map {number}" for number in range(6)), "Random"]
    rows = [
        {"map": name, "control": name == "Random", "curve": curve, "step": step, "share": step, "value": value}
        for number, name in enumerate(names)
        for curve in ("deletion", "insertion")
        for step, value in ((0, number / 10), (1, 0.5))
    ]
    values = pd.DataFrame(rows)
    apart = 0.1 * values["control"]
    return values.assign(low=values["value"] - apart, high=values["value"] + apart)


def traces(figure: Figure) -> list[dict[str, Any]]:
    return [trace.to_plotly_json() for trace in cast(tuple[BaseTraceType, ...], figure.data)]


def test_every_curve_is_drawn_once_in_each_half(table: pd.DataFrame):
    """Deletion above, insertion below, both in percent of the pixels and on the scale of a probability."""
    figure = draw_curves(table, LIGHT, unit="probability")
    lines = [trace for trace in traces(figure) if trace["mode"] == "lines"]
    assert len(lines) == 14
    for trace in lines:
        assert np.asarray(trace["x"]).tolist() == [0, 100]
        half = "insertion" if trace.get("yaxis") == "y2" else "deletion"
        rows = table.loc[(table["map"] == trace["name"]) & (table["curve"] == half)]
        np.testing.assert_allclose(np.asarray(trace["y"]), rows["value"])
    assert figure.layout["yaxis"]["range"] == pytest.approx((-0.03, 1.03))
    assert draw_curves(table, LIGHT, unit="logits", fixed=False).layout["yaxis"]["range"] is None


def test_no_two_lines_look_alike_and_only_controls_are_grey(table: pd.DataFrame):
    """Also with more maps than there are colours."""
    data = traces(draw_curves(table, LIGHT, unit="probability"))
    looks = {trace["name"]: (trace["line"]["color"], trace["line"]["dash"]) for trace in data if "name" in trace}
    assert len(set(looks.values())) == len(looks) == 7
    assert [name for name, (colour, _) in looks.items() if colour == LIGHT.faint] == ["Random"]


def test_a_band_is_where_draws_differ(table: pd.DataFrame):
    """From the lowest to the highest, around the control alone; it takes no hover and no place in the legend."""
    bands = [trace for trace in traces(draw_curves(table, LIGHT, unit="")) if trace["mode"] == "none"]
    assert [band["legendgroup"] for band in bands] == ["Random", "Random"]
    assert bands[0]["y"] == pytest.approx([0.7, 0.6, 0.4, 0.5])


def test_a_map_without_an_order_leaves_a_gap():
    """A likeness that is not there is no zero."""
    rows = [("nothing", "map", "ranks", 1.0), ("classifier", "map", "ranks", np.nan), ("nothing", "gates", "s", 1.0)]
    above, below = traces(draw_steps(pd.DataFrame(rows, columns=["part", "panel", "measure", "value"]), LIGHT))
    assert np.isnan(np.asarray(above["y"])).tolist() == [False, True]
    assert (above.get("yaxis"), below["yaxis"]) == (None, "y2")
