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
        {
            "map": name,
            "control": name == "Random",
            "curve": curve,
            "step": step,
            "share": step,
            "value": value,
        }
        for number, name in enumerate(names)
        for curve in ("deletion", "insertion")
        for step, value in ((0, number / 10), (1, 0.5))
    ]
    values = pd.DataFrame(rows)
    apart = 0.1 * values["control"]
    colour = [{"map 2": 1, "map 4": 0}.get(name) for name in values["map"]]
    return values.assign(low=values["value"] - apart, high=values["value"] + apart, colour=colour)


def traces(figure: Figure) -> list[dict[str, Any]]:
    return [trace.to_plotly_json() for trace in cast(tuple[BaseTraceType, ...], figure.data)]


def told(trace: dict[str, Any]) -> str:
    """Return the name that a line tells when it is touched."""
    return trace["hovertemplate"].split("</b>")[0].removeprefix("<b>")


def test_every_curve_is_drawn_once_in_each_half(table: pd.DataFrame):
    """Deletion above, insertion below, both in percent of the pixels and on the scale of a
    probability.
    """
    figure = draw_curves(table, LIGHT, unit="probability")
    lines = [trace for trace in traces(figure) if trace["mode"] == "lines"]
    assert sorted(map(told, lines)) == sorted(2 * table["map"].unique().tolist())
    for trace in lines:
        assert np.asarray(trace["x"]).tolist() == [0, 100]
        half = "insertion" if trace.get("yaxis") == "y2" else "deletion"
        rows = table.loc[(table["map"] == told(trace)) & (table["curve"] == half)]
        np.testing.assert_allclose(np.asarray(trace["y"]), rows["value"])
    assert figure.layout["yaxis"]["range"] == pytest.approx((-0.03, 1.03))
    assert draw_curves(table, LIGHT, unit="logits", fixed=False).layout["yaxis"]["range"] is None


def test_only_picked_maps_are_in_colour(table: pd.DataFrame):
    """Twenty colours and dashes are a tangle: the others are thin and grey, below, and one entry
    of the legend.
    """
    lines = [
        trace for trace in traces(draw_curves(table, LIGHT, unit="")) if trace["mode"] == "lines"
    ]
    colours = {told(trace): trace["line"]["color"] for trace in lines}
    expected = {"map 4": LIGHT.series[0], "map 2": LIGHT.series[1]}
    assert {name: colour for name, colour in colours.items() if colour != LIGHT.faint} == expected
    above = [trace for trace in lines if "yaxis" not in trace]
    assert [told(trace) for trace in above][-2:] == ["map 4", "map 2"]
    assert sorted(trace["name"] for trace in lines if trace["showlegend"]) == [
        "Other maps",
        "Random",
        "map 2",
        "map 4",
    ]
    widths = {told(trace): trace["line"]["width"] for trace in lines}
    assert min(widths["map 2"], widths["map 4"]) > max(widths["map 1"], widths["Random"])


def test_controls_are_broken_lines_in_one_band(table: pd.DataFrame):
    """The band is around all of them, from the lowest draw to the highest; it takes no hover and
    no legend.
    """
    second = table.loc[table["control"]].assign(map="Other", low=0.2, high=0.65, value=0.6)
    data = traces(draw_curves(pd.concat([table, second]), LIGHT, unit=""))
    bands = [trace for trace in data if trace["mode"] == "none"]
    assert [(band["showlegend"], band["hoverinfo"]) for band in bands] == 2 * [(False, "skip")]
    # Of Random 0.5 to 0.7 and then 0.4 to 0.6, and 0.2 to 0.65 of the other.
    assert bands[0]["y"] == pytest.approx([0.7, 0.65, 0.2, 0.2])
    dashes = {told(trace): trace["line"].get("dash") for trace in data if trace["mode"] == "lines"}
    assert len({dashes["Random"], dashes["Other"], dashes["map 0"]}) == 3


def test_a_coloured_map_with_a_spread_has_a_band_of_its_own(table: pd.DataFrame):
    """Means over images have one; the others would fill the figure."""
    wide = table.assign(low=table["value"] - 0.1, high=table["value"] + 0.1)
    bands = [
        trace for trace in traces(draw_curves(wide, LIGHT, unit="")) if trace["mode"] == "none"
    ]
    assert [band["fillcolor"] for band in bands] == 2 * [
        LIGHT.faint,
        LIGHT.series[0],
        LIGHT.series[1],
    ]


def test_a_map_without_an_order_leaves_a_gap():
    """A likeness that is not there is no zero."""
    rows = [
        ("nothing", "map", "ranks", 1.0),
        ("classifier", "map", "ranks", np.nan),
        ("nothing", "gates", "s", 1.0),
    ]
    above, below = traces(
        draw_steps(pd.DataFrame(rows, columns=["part", "panel", "measure", "value"]), LIGHT)
    )
    assert np.isnan(np.asarray(above["y"])).tolist() == [False, True]
    assert (above.get("yaxis"), below["yaxis"]) == (None, "y2")


def test_several_draws_have_bars_and_what_chance_gives_is_a_band():
    """A bar reaches from the lowest to the highest draw at its part; a band holds at all parts and
    lies behind.
    """
    rows = [
        ("nothing", "map", "ranks", 1.0, np.nan, np.nan),
        ("stage 2", "map", "ranks", 0.3, 0.2, 0.6),
        *((part, "map", "chance", 0.5, 0.4, 0.7) for part in ("nothing", "stage 2")),
        ("stage 2", "gates", "s", 1.0, np.nan, np.nan),
    ]
    table = pd.DataFrame(rows, columns=["part", "panel", "measure", "value", "low", "high"])
    band, ranks, gates = traces(draw_steps(table, LIGHT))
    assert (band["name"], band["fill"], sorted(set(band["y"]))) == ("chance", "toself", [0.4, 0.7])
    np.testing.assert_allclose(ranks["error_y"]["array"], [np.nan, 0.3])
    np.testing.assert_allclose(ranks["error_y"]["arrayminus"], [np.nan, 0.1])
    assert "error_y" not in gates
