import numpy as np
import pytest
from PIL import Image

from se_viz.charts.attributions import SIGNS, Map, fit_reach, paint_map, paint_scale, take_sign
from se_viz.charts.palettes import LIGHT

GREY = 100


@pytest.fixture
def photo() -> Image.Image:
    """Return a photo of one grey, 5 x 1 pixels."""
    return Image.new("RGB", (5, 1), (GREY, GREY, GREY))


def painted(
    photo: Image.Image, values: list[float], *, signed: bool = True, opacity: float = 1.0
) -> list[list[int]]:
    attribution = Map(np.array([values], dtype=np.float32), signed)
    return np.asarray(paint_map(photo, attribution, LIGHT, reach=2.0, opacity=opacity))[0].tolist()


def test_zero_is_clear_ends_are_the_palettes_and_what_lies_beyond_is_marked(photo: Image.Image):
    """The veil is blue (10, 70, 220) at its low end, clear in the middle, (200, 60, 0) at its high
    end.
    """
    dark_blue = (6, 28, 69)
    brown = (92, 33, 0)
    assert painted(photo, [-2, 0, 2, -9, 9]) == [
        [10, 70, 220],
        [GREY] * 3,
        [200, 60, 0],
        list(dark_blue),
        list(brown),
    ]


def test_a_map_without_signs_begins_at_nothing(photo: Image.Image):
    """Its colours run from clear at 0 to yellow (252, 230, 90) at the end."""
    first, *_, last = painted(photo, [0, 0.5, 1, 1.5, 2], signed=False)
    assert (first, last) == ([GREY] * 3, [252, 230, 90])


def test_opacity_is_the_maps_share_of_the_colour(photo: Image.Image):
    """A quarter of (200, 60, 0) and three quarters of grey 100: by hand."""
    assert painted(photo, [2, 0, 0, 0, 0], opacity=0.25)[0] == [125, 90, 75]
    assert painted(photo, [2, -2, 9, 1, 0], opacity=0.0) == [[GREY] * 3] * 5


@pytest.mark.parametrize(
    ("sign", "values", "signed"),
    [
        ("both", [-2, 0, 1], True),
        ("for", [0, 0, 1], True),
        ("against", [-2, 0, 0], True),
        ("size", [2, 0, 1], False),
    ],
)
def test_a_sign_keeps_its_half(sign: str, values: list[float], *, signed: bool):
    """For and against leave out what they are not, and orange stays for; size knows no sides."""
    half = take_sign(Map(np.array([[-2.0, 0.0, 1.0]]), True), sign)
    assert half.values[0].tolist() == values
    assert half.signed is signed
    assert sign in SIGNS


def test_one_scale_for_all_reaches_as_far_as_their_values_together():
    """The 0.995 quantile of all magnitudes; of 200 values, 199 of them 1, that is still 1 and not
    the 9.
    """
    small = Map(np.full((10, 10), 1.0), False)
    large = Map(np.full((10, 10), -1.0), True)
    large.values[0, 0] = -9.0
    assert fit_reach([small]) == 1.0
    assert fit_reach([small, large]) == pytest.approx(np.quantile([1.0] * 199 + [9.0], 0.995))


@pytest.mark.parametrize("signed", [True, False])
def test_the_scale_runs_from_the_lowest_colour_to_the_highest(*, signed: bool):
    """Left is what lies at the low end of the palette, over the grey of a photo, right the high
    end.
    """
    strip = np.asarray(paint_scale(LIGHT, signed=signed, opacity=1.0))
    low, high = ([10, 70, 220], [200, 60, 0]) if signed else ([128] * 3, [252, 230, 90])
    assert (strip[0, 0].tolist(), strip[0, -1].tolist()) == (low, high)
