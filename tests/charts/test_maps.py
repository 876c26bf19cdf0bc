import base64
from io import BytesIO
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from se_viz.charts.maps import draw_channels, draw_overlay
from se_viz.charts.palettes import DARK, LIGHT, Palette
from se_viz.charts.scales import Span, fit_span


@pytest.fixture
def photo() -> Image.Image:
    """Return a photo of two colours, 6 x 4 pixels."""
    photo = Image.new("RGB", (6, 4), "red")
    photo.paste("white", (3, 0, 6, 4))
    return photo


def maps(figure: go.Figure) -> list[Any]:
    """Return the heat maps of a figure; Plotly's own types say too little."""
    return [trace for trace in figure.data if isinstance(trace, go.Heatmap)]


def heats(figure: go.Figure) -> list[np.ndarray]:
    return [trace.z for trace in maps(figure)]


def overlay(photo: Image.Image, values: np.ndarray, *, signed: bool = True) -> go.Figure:
    span = fit_span(values, signed=signed)
    return draw_overlay(photo, values, LIGHT, span=span, opacity=0.8, title="what it means")


def ticks(figure: go.Figure) -> list[str]:
    return list(figure.layout.coloraxis.colorbar.ticktext)


def test_signed_maps_are_symmetric_about_zero(photo: Image.Image):
    """0 is the middle code 63, and the weaker side keeps its weaker colour: -1 of 4 lies 16 codes
    below.
    """
    values = np.full((4, 6), 4.0)
    values[0, 1:3] = -1.0, 0.0
    figure = overlay(photo, values)
    assert ticks(figure) == ["-4", "0", "4"]
    # A quarter of the way from 63 to 0 is 47.25.
    assert heats(figure)[0][0, :3].tolist() == [126, 47, 63]


def test_maps_without_signs_start_at_zero(photo: Image.Image):
    """The scale runs from nothing to the strongest, so nothing is clear."""
    values = np.full((4, 6), 2.0)
    values[0, 1:3] = 1.0, 0.0
    figure = overlay(photo, values, signed=False)
    assert ticks(figure) == ["0", "1", "2"]
    assert heats(figure)[0][0, :3].tolist() == [126, 63, 0]


def test_a_map_of_zeros_leaves_the_photo_as_it_is(photo: Image.Image):
    """All codes are the clear middle: a class without evidence must not be painted."""
    assert set(heats(overlay(photo, np.zeros((4, 6))))[0].flat) == {63}


@pytest.mark.parametrize("signed", [True, False])
def test_a_map_of_zeros_is_called_one(photo: Image.Image, signed: bool):
    """A bar from 0 to 1 would promise values that are nowhere: words, no numbers, and no colour
    but that of 0.
    """
    axis = overlay(photo, np.zeros((4, 6)), signed=signed).layout.coloraxis
    assert axis.colorbar.title.text == "0 everywhere"
    assert axis.colorbar.showticklabels is False
    assert {colour.endswith(",0)") for _, colour in axis.colorscale} == {True}


def test_a_map_may_be_drawn_on_a_wider_scale(photo: Image.Image):
    """Of two maps that share one, equal colours are equal values: 1 is a quarter of the way from 0
    to 4 of 63 codes.
    """
    figure = draw_overlay(
        photo, np.ones((4, 6)), LIGHT, span=Span(-4.0, 4.0), opacity=1.0, title=""
    )
    assert ticks(figure) == ["-4", "0", "4"]
    # 63 + 63 / 4 = 78.75.
    assert set(heats(figure)[0].flat) == {79}


def test_map_and_photo_cover_each_other(photo: Image.Image):
    """Pixel centres are whole numbers, so both span from -0.5 to size - 0.5, the first row at the
    top.
    """
    layout = overlay(photo, np.zeros((4, 6))).layout
    picture = layout.images[0]
    assert (picture.x, picture.y, picture.sizex, picture.sizey) == (-0.5, -0.5, 6, 4)
    assert tuple(layout["xaxis"].range) == (-0.5, 5.5)
    assert tuple(layout["yaxis"].range) == (3.5, -0.5)


def test_the_photo_under_a_map_is_grey(photo: Image.Image):
    """Colour belongs to the map alone. Red is 76 of 255 in ITU-R 601 luma: 0.299 * 255."""
    kind, content = overlay(photo, np.zeros((4, 6))).layout.images[0].source.split(",")
    picture = Image.open(BytesIO(base64.b64decode(content)))
    assert kind == "data:image/jpeg;base64"
    assert (picture.mode, picture.size) == ("L", (6, 4))
    # JPEG is lossy, most of all at an edge.
    assert np.asarray(picture)[:, 0] == pytest.approx(76, abs=12)


@pytest.mark.parametrize("opacity", [0.0, 0.35, 1.0])
def test_opacity_is_that_of_the_map(photo: Image.Image, opacity: float):
    """At 0 only the photo is left; the photo itself never fades."""
    figure = draw_overlay(
        photo, np.ones((4, 6)), LIGHT, span=Span(-1.0, 1.0), opacity=opacity, title=""
    )
    assert [trace.opacity for trace in maps(figure)] == [opacity]
    assert figure.layout.images[0].opacity in (None, 1)


def test_before_and_after_share_one_scale():
    """Worked by hand on -2..2 with a gate of 0.5: 2 has code 126 before, and 1 after is three
    quarters: 94.
    """
    features = np.array([[[2.0, 0.0], [-2.0, 1.0]]])
    before, after = heats(draw_channels(features, np.array([0.5]), [0], LIGHT))
    assert before.tolist() == [[126, 63], [0, 94]]
    # 94.5 and 31.5 round to even; 0.5 lies at 0.625 of 126 = 78.75.
    assert after.tolist() == [[94, 63], [32, 79]]


def test_an_open_gate_changes_no_colour():
    """s = 1 leaves the channel as it is, so the pair must look alike."""
    features = np.random.default_rng(0).normal(size=(1, 7, 7))
    before, after = heats(draw_channels(features, np.ones(1), [0], LIGHT))
    assert (before == after).all()


def test_each_channel_is_scaled_by_its_own_gate():
    """A gate of 0 leaves nothing of its channel, whatever the other gates are: the middle code
    everywhere.
    """
    features = np.random.default_rng(0).normal(size=(3, 4, 4))
    _, after, _, untouched = heats(
        draw_channels(features, np.array([0.3, 0.0, 1.0]), [1, 2], LIGHT)
    )
    assert set(after.flat) == {63}
    assert len(set(untouched.flat)) > 2


def test_a_gate_above_one_is_not_cut_off():
    """Where gates can exceed 1, what comes out is stronger than what goes in, and the pair's scale
    holds both.
    """
    features = np.linspace(-1, 1, 16).reshape(1, 4, 4)
    before, after = heats(draw_channels(features, np.array([2.0]), [0], LIGHT))
    assert (after.min(), after.max()) == (0, 126)
    assert before.max() == pytest.approx(63 + 63 / 2, abs=0.5)


def test_each_channel_has_a_scale_of_its_own():
    """A weak channel beside a strong one is still seen: its own strongest value has the last
    colour.
    """
    features = np.stack([np.full((2, 2), 100.0), np.full((2, 2), 0.01)])
    codes = heats(draw_channels(features, np.array([1.0, 1.0]), [0, 1], LIGHT))
    assert {code for part in codes for code in part.flat} == {126}


def test_channels_are_drawn_in_the_order_asked_for():
    """Columns follow the list, each under its number and its gate."""
    features = np.zeros((3, 2, 2))
    figure = draw_channels(features, np.array([0.1, 0.2, 0.987]), [2, 0], LIGHT)
    assert [note.text for note in figure.layout.annotations] == ["#2<br>s = 0.99", "#0<br>s = 0.10"]


def test_rows_say_which_is_before_and_which_after():
    """Two rows of the same map can only be told apart by words."""
    figure = draw_channels(np.zeros((1, 2, 2)), np.ones(1), [0], LIGHT)
    assert [figure.layout[axis].title.text for axis in ("yaxis", "yaxis2")] == ["before", "after"]


def test_feature_maps_stand_upright():
    """Row 0 of a feature map is the top of the image, as in the photo above it."""
    figure = draw_channels(np.zeros((1, 3, 2)), np.ones(1), [0], LIGHT)
    for line in ("", "2"):
        across = figure.layout[f"xaxis{line}"]
        down = figure.layout[f"yaxis{line}"]
        # From edge to edge of the outer pixels, whose centres are whole numbers; the y axis runs
        # downwards.
        assert (tuple(across.range), tuple(down.range)) == ((-0.5, 1.5), (2.5, -0.5))
        assert down.scaleanchor == f"x{line}"


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_all_text_has_the_ink_of_its_palette(photo: Image.Image, palette: Palette):
    """What a figure leaves open, the page's theme fills with a grey of too little contrast (WCAG
    2.2, 1.4.3).
    """
    maps = draw_overlay(
        photo, np.ones((4, 6)), palette, span=Span(-1.0, 1.0), opacity=1.0, title="words"
    ).layout
    pairs = draw_channels(np.zeros((1, 2, 2)), np.ones(1), [0], palette).layout
    bar = maps.coloraxis.colorbar
    inks = {
        bar.tickfont.color,
        bar.title.font.color,
        maps.font.color,
        pairs.font.color,
        pairs.yaxis.title.font.color,
    }
    assert inks == {palette.ink}
    assert (bar.title.text, pairs.yaxis.title.text) == ("words", "before")


def test_axes_hold_still(photo: Image.Image):
    """A map that can be dragged away is lost to a visitor on a phone, whose finger meant to
    scroll.
    """
    for figure in (
        overlay(photo, np.ones((4, 6))),
        draw_channels(np.zeros((1, 2, 2)), np.ones(1), [0], LIGHT),
    ):
        axes = [
            axis
            for name, axis in figure.to_plotly_json()["layout"].items()
            if name[1:].startswith("axis")
        ]
        assert {axis["fixedrange"] for axis in axes} == {True}


def test_a_signal_is_drawn_as_curves_on_one_axis():
    """Its channel after scaling is the one before times the gate, and a gate above 1 has room."""
    features = np.array([[1.0, -2.0, 0.5], [0.0, 0.1, 0.2]])
    figure = draw_channels(features, np.array([0.25, 1.5]), [1, 0], LIGHT)
    curves: Any = figure.data
    lines = [(trace.name, trace.xaxis, trace.y.tolist()) for trace in curves]
    assert lines == [
        ("before", "x", [0.0, 0.1, 0.2]),
        ("after", "x", pytest.approx([0.0, 0.15, 0.3])),
        ("before", "x2", [1.0, -2.0, 0.5]),
        ("after", "x2", [0.25, -0.5, 0.125]),
    ]
    layout: Any = figure.layout
    low, high = layout.yaxis.range
    assert (low, high) == (-high, pytest.approx(0.3 * 1.05))


@pytest.mark.parametrize(("depth", "count"), [(1, 1), (5, 5), (90, 32)])
def test_a_volume_is_drawn_slice_by_slice_on_one_scale(depth: int, count: int):
    """The slider shows one slice of every pair at a time, the middle one first; the largest value
    of any slice is the end of the scale.
    """
    features = np.zeros((2, depth, 3, 4))
    features[:, -1] = 2.0
    features[1, 0, 1, 2] = -1.0
    figure = draw_channels(features, np.array([1.0, 0.5]), [1, 0], LIGHT)
    assert len(maps(figure)) == 4 * count
    shown = [trace.visible for trace in maps(figure)]
    assert shown.count(True) == 4
    last = heats(figure)[-4:]
    assert [codes.max() for codes in last] == [126, 94, 126, 126]
    if depth > 1:
        assert heats(figure)[0][1, 2] == 32
        layout: Any = figure.layout
        steps = layout.sliders[0].steps
        assert [int(step.label) for step in steps][:: count - 1] == [0, depth - 1]
        assert shown == [*steps[layout.sliders[0].active].args[1]]
        assert all(sum(step.args[1]) == 4 for step in steps)
