from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from se_viz.charts.gates import ORDERS, draw_gates, name_stage
from se_viz.charts.palettes import LIGHT
from se_viz.charts.scales import Span

BLOCKS = (("SE_2_1", "one.se", 2, 64), ("SE_2_2", "two.se", 2, 64), ("SE_3_1", "three.se", 3, 128))
"""Label, path, stage and channels of the blocks of the table."""


@pytest.fixture
def table() -> pd.DataFrame:
    """Return a gate table of three blocks with random gates and a squeeze of either sign."""
    random = np.random.default_rng(0)
    parts = [
        pd.DataFrame(
            {
                "image": "a photo",
                "block": label,
                "path": path,
                "stage": stage,
                "channel": np.arange(count),
                "squeeze": random.normal(0, 3, count).astype(np.float32),
                "gate": random.uniform(0, 1, count).astype(np.float32),
            }
        )
        for label, path, stage, count in BLOCKS
    ]
    return pd.concat(parts, ignore_index=True)


def traces(figure: go.Figure) -> list[Any]:
    """Return what a figure draws; Plotly's own types say too little."""
    return list(figure.data)


def heat_rows(figure: go.Figure) -> list[tuple[float, Any, np.ndarray]]:
    """Return every row of colours with its height and its heat map, top row first."""
    maps = [trace for trace in traces(figure) if trace.type == "heatmap"]
    rows = [
        (height, heat, line) for heat in maps for height, line in zip(heat.y, heat.z, strict=True)
    ]
    return sorted(rows, key=lambda row: row[0])


def marks(figure: go.Figure, axis: str) -> list[Any]:
    return [
        trace
        for trace in traces(figure)
        if trace.type == "scatter" and (trace.xaxis or "x") == axis
    ]


def values_of(table: pd.DataFrame, path: str, column: str) -> np.ndarray:
    return table.loc[table["path"] == path, column].to_numpy()


def test_every_block_is_one_row_named_as_in_the_paper(table: pd.DataFrame):
    """Forward order runs downwards: the axis is turned round, and its ticks sit at the rows'
    heights.
    """
    figure = draw_gates(table, LIGHT)
    rows = heat_rows(figure)
    axis = figure.layout["yaxis"]
    assert list(axis.ticktext) == [label for label, *_ in BLOCKS]
    assert list(axis.tickvals) == [height for height, *_ in rows]
    assert axis.range[0] > rows[-1][0] > rows[0][0] > axis.range[1]


@pytest.mark.parametrize("value", ["gate", "squeeze"])
def test_rows_are_sorted_within_their_blocks(table: pd.DataFrame, value: str):
    """Sorted by what is shown, colours fall from left to right in each row, and no row borrows
    from another.
    """
    figure = draw_gates(table, LIGHT, value=value, order=value)
    for _, _, codes in heat_rows(figure):
        assert (np.diff(codes.astype(int)) <= 0).all()


def test_one_order_sorts_both_pictures(table: pd.DataFrame):
    """Sorted by squeeze, the gate under a place belongs to the channel whose squeeze stands
    there.
    """
    figure = draw_gates(table, LIGHT, value="gate", order="squeeze")
    for (_, _, codes), (_, path, *_) in zip(heat_rows(figure), BLOCKS, strict=True):
        order = np.argsort(-values_of(table, path, "squeeze"), kind="stable")
        gates = values_of(table, path, "gate")[order]
        # Half a step of 1/126, and float32.
        assert np.abs(codes / 126 - gates).max() <= 1 / 252 + 1e-6


def test_the_colour_under_the_pointer_is_the_channels_gate(table: pd.DataFrame):
    """By index, the place x % of the row holds the channel that x % of the channels come before."""
    figure = draw_gates(table, LIGHT, order="channel")
    for (_, heat, codes), (_, path, _, count) in zip(heat_rows(figure), BLOCKS, strict=True):
        for x in (0.01, 12.7, 49.99, 50.01, 99.99):
            channel = int(x / 100 * count)
            cell = round((x - heat.x0) / heat.dx)
            assert cell == channel
            assert codes[cell] / 126 == pytest.approx(
                values_of(table, path, "gate")[channel], abs=1 / 252 + 1e-6
            )


def test_rows_fill_the_axis_from_edge_to_edge(table: pd.DataFrame):
    """The axis is in per cent of a block, so blocks of different width begin and end together."""
    for _, heat, codes in heat_rows(draw_gates(table, LIGHT)):
        assert heat.x0 - heat.dx / 2 == pytest.approx(0)
        assert heat.x0 + (len(codes) - 0.5) * heat.dx == pytest.approx(100)


def test_few_traces_draw_many_blocks(table: pd.DataFrame):
    """A trace a block was what made pages slow: here there is one a stage, and two of points."""
    assert len(traces(draw_gates(table, LIGHT))) == 2 + 2


def test_points_carry_the_path_of_the_block_they_lie_on(table: pd.DataFrame):
    """A click knows a point alone; the path has to be that of the row at its height."""
    figure = draw_gates(table, LIGHT)
    paths = {
        height: path for (height, *_), (_, path, *_) in zip(heat_rows(figure), BLOCKS, strict=True)
    }
    clickable = marks(figure, "x") + marks(figure, "x2")
    assert len(clickable) == 2
    for trace in clickable:
        assert [paths[y] for y in trace.y] == list(trace.customdata)
        assert set(trace.customdata) == set(paths.values())


def test_no_place_of_a_row_is_far_from_a_point(table: pd.DataFrame):
    """Colours return no clicks, so the invisible points have to lie close: 32 to a row, evenly."""
    points = marks(draw_gates(table, LIGHT), "x")[0]
    for height in set(points.y):
        places = np.sort([x for x, y in zip(points.x, points.y, strict=True) if y == height])
        assert np.diff(places) == pytest.approx(100 / 32)
        assert (places[0], places[-1]) == (pytest.approx(100 / 64), pytest.approx(100 - 100 / 64))


def test_hovering_tells_the_mean_of_the_channels_there(table: pd.DataFrame):
    """64 channels over 32 points are two each: the text is their mean, to three digits."""
    points = marks(draw_gates(table, LIGHT, order="channel"), "x")[0]
    gates = values_of(table, "one.se", "gate")
    texts = [
        text for text, path in zip(points.text, points.customdata, strict=True) if path == "one.se"
    ]
    expected = [
        f"{(gates[2 * part] + gates[2 * part + 1]) / 2:.3f}, mean of 2" for part in range(32)
    ]
    assert texts == expected
    assert points.hovertemplate.startswith("<b>%{y}</b><br>gate %{text} channels here")


@pytest.mark.parametrize("value", ["gate", "squeeze"])
def test_means_and_spreads_are_those_of_the_block(table: pd.DataFrame, value: str):
    """Mean and population standard deviation, by NumPy in double precision."""
    points = marks(draw_gates(table, LIGHT, value=value), "x2")[0]
    for mean, spread, (_, path, *_) in zip(points.x, points.error_x.array, BLOCKS, strict=True):
        values = values_of(table, path, value).astype(np.float64)
        assert mean == pytest.approx(values.mean(), abs=1e-6)
        assert spread == pytest.approx(np.sqrt(((values - values.mean()) ** 2).mean()), rel=1e-5)


def test_gates_keep_one_axis_for_every_image(table: pd.DataFrame):
    """0 to 1 with a rule at 0.5, the sigmoid of 0, also where no gate comes near the ends."""
    narrow = table.assign(gate=0.5 + (table["gate"] - 0.5) / 100)
    figure = draw_gates(narrow, LIGHT)
    assert tuple(figure.layout["xaxis2"].range) == (0, 1)
    assert [shape.x0 for shape in figure.layout.shapes if shape.type == "line"] == [0.5]
    assert list(figure.layout.coloraxis.colorbar.ticktext) == ["0", "0.5", "1"]


def test_gates_of_another_range_have_a_scale_of_their_own(table: pd.DataFrame):
    """A tanh gate lies in -1 to 1 and says nothing at 0: colours, axis and rule have to follow."""
    table["gate"] = 2 * table["gate"] - 1
    figure: Any = draw_gates(table, LIGHT, gates=Span(-1.0, 1.0))
    assert tuple(figure.layout["xaxis2"].range) == (-1, 1)
    assert tuple(figure.layout.coloraxis.colorbar.ticktext) == ("-1", "0", "1")
    (rule,) = [shape for shape in figure.layout.shapes if shape.type == "line"]
    assert rule.x0 == rule.x1 == 0
    for (_, _, line), (_, path, *_) in zip(heat_rows(figure), BLOCKS, strict=True):
        # 127 colours from end to end.
        values = np.sort(np.asarray(line, dtype=float)) / 126 * 2 - 1
        assert values == pytest.approx(np.sort(values_of(table, path, "gate")), abs=1 / 126)


def test_blocks_of_one_stage_may_differ_in_width(table: pd.DataFrame):
    """In an EfficientNet they do: each row still runs from edge to edge and has no colour for
    channels it lacks.
    """
    table["stage"] = 3
    figure: Any = draw_gates(table, LIGHT)
    for (_, heat, line), (*_, count) in zip(heat_rows(figure), BLOCKS, strict=True):
        assert len(line) == count
        assert heat.x0 - heat.dx / 2 == pytest.approx(0)
        assert heat.x0 + heat.dx * (count - 0.5) == pytest.approx(100)
    headings = [note.text for note in figure.layout.annotations]
    assert headings == ["<b>Stage 3 · stride 8</b>  3 blocks of 64 to 128 channels"]


def test_squeezes_share_a_scale_symmetric_about_zero(table: pd.DataFrame):
    """Signed values of all blocks on one range: equal colours mean equal squeezes, and 0 is the
    middle.
    """
    figure = draw_gates(table, LIGHT, value="squeeze")
    low, middle, high = figure.layout.coloraxis.colorbar.ticktext
    assert (low, middle) == (f"-{high}", "0")
    assert [shape.x0 for shape in figure.layout.shapes if shape.type == "line"] == [0.0]
    assert all(heat.coloraxis == "coloraxis" for _, heat, _ in heat_rows(figure))


@pytest.mark.parametrize(("order", "words"), [("gate", "sorted by gate"), ("channel", "by index")])
def test_the_axis_says_how_channels_are_sorted(table: pd.DataFrame, order: str, words: str):
    """Two sorted rows must not be compared channel by channel, and only the axis can say so."""
    assert words in draw_gates(table, LIGHT, order=order).layout["xaxis"].title.text
    assert order in ORDERS


def test_only_the_opened_block_is_framed(table: pd.DataFrame):
    """The frame tells which row the feature maps below belong to."""
    figure = draw_gates(table, LIGHT, selected="two.se")
    frames = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    height = heat_rows(figure)[1][0]
    assert [(shape.y0 < height < shape.y1) for shape in frames] == [True]
    assert not [shape for shape in draw_gates(table, LIGHT).layout.shapes if shape.type == "rect"]


def test_axes_hold_still(table: pd.DataFrame):
    """The handles that zoom an axis lie over the ends of the rows: a click there was lost to
    them.
    """
    layout = draw_gates(table, LIGHT).layout
    assert all(layout[axis].fixedrange for axis in ("xaxis", "xaxis2", "yaxis", "yaxis2"))


def test_not_a_number_gets_a_mark_at_its_place(table: pd.DataFrame):
    """A broken gate must not pass for a closed one: channel 5 of 128 lies at 5.5/128 of the third
    row.
    """
    table.loc[(table["path"] == "three.se") & (table["channel"] == 5), "gate"] = np.nan
    figure = draw_gates(table, LIGHT, order="channel")
    crosses = [trace for trace in marks(figure, "x") if trace.marker.symbol == "x-thin"]
    assert [(list(trace.x), list(trace.y)) for trace in crosses] == [
        ([5.5 / 128 * 100], [heat_rows(figure)[2][0]])
    ]


def test_a_stage_has_a_readable_name():
    """What a reader knows of stage 3 is that eight pixels of the image are one of its; below 0
    maps are enlarged.
    """
    assert [name_stage(stage) for stage in (-1, 0, 3, 5)] == [
        "Stage -1 · 2 times the image's side",
        "Stage 0 · stride 1",
        "Stage 3 · stride 8",
        "Stage 5 · stride 32",
    ]
