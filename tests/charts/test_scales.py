import itertools
import math

import numpy as np
import pytest

from se_viz.charts.palettes import DARK, LIGHT, Palette
from se_viz.charts.scales import (
    CODE_RANGE,
    KEEP,
    Span,
    code_ticks,
    coded_scale,
    encode,
    fit_span,
    gate_span,
    widest,
)
from se_viz.gates import GateSite

UNIT = Span(0.0, 1.0)
SIGNED = Span(-2.0, 2.0)


def decode(codes: np.ndarray, span: Span) -> np.ndarray:
    """Give codes back their values, by the words of the documentation: 0 to 126 run evenly from
    low to high.
    """
    return span.low + codes.astype(np.float64) / 126 * (span.high - span.low)


def place_of(code: int) -> float:
    """Return where Plotly looks a code up in a colour scale: its share of the way from ``cmin`` to
    ``cmax``.
    """
    return (code - CODE_RANGE[0]) / (CODE_RANGE[1] - CODE_RANGE[0])


def colour_of(code: int, scale: list[tuple[float, str]]) -> tuple[str, str]:
    """Return the two colours between which a code lies."""
    place = place_of(code)
    pairs = itertools.pairwise(scale)
    return next(
        (low[1], high[1]) for low, high in pairs if low[0] <= place <= high[0] and low[0] < high[0]
    )


def test_codes_run_evenly_from_low_to_high():
    """Worked by hand: a quarter of 126 is 31.5, which rounds to the even 32; a half is 63."""
    values = np.array([0.0, 0.25, 0.5, 1.0])
    assert encode(values, UNIT).tolist() == [0, 32, 63, 126]


def test_codes_of_a_signed_range_put_zero_in_the_middle():
    """From -2 to 2 the way from -2 to 1 is three quarters of 126: 94.5, which rounds to 94."""
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert encode(values, SIGNED).tolist() == [0, 32, 63, 94, 126]


@pytest.mark.parametrize(
    ("value", "code"), [(-0.01, -1), (-np.inf, -1), (1.01, 127), (np.inf, 127)]
)
def test_values_beyond_the_range_have_codes_of_their_own(value: float, code: int):
    """A clipped value that took the last colour would pass for a value of the range."""
    assert encode(np.array([0.5, value]), UNIT).tolist() == [63, code]


def test_not_a_number_is_not_taken_for_a_clipped_value():
    """NaN is neither below nor above; the pictures mark it apart, and its neighbours keep their
    codes.
    """
    codes = encode(np.array([0.5, np.nan, 1.0]), UNIT)
    assert codes[[0, 2]].tolist() == [63, 126]
    assert 0 <= codes[1] <= 126


def test_a_code_is_at_most_half_a_step_from_its_value():
    """126 steps of equal width, rounded to the nearest: 1/252 of the range at most."""
    values = np.random.default_rng(0).uniform(-2, 2, 10_000)
    assert np.abs(decode(encode(values, SIGNED), SIGNED) - values).max() <= 4 / 252 + 1e-12


def test_codes_are_single_bytes():
    """What a page sends is codes: a quarter of the bytes of float32, and every code fits."""
    codes = encode(np.linspace(-1, 2, 1000, dtype=np.float32), UNIT)
    assert codes.dtype == np.int8
    assert (codes.min(), codes.max()) == CODE_RANGE


def test_a_signed_range_is_symmetric_about_zero():
    """The same distance from 0 has to get the same strength of colour on both sides."""
    assert fit_span(np.array([-4.0, 1.0, 3.0]), signed=True, keep=1.0) == Span(-4.0, 4.0)


def test_a_range_without_signs_starts_at_zero():
    """No value is the absence of colour, however small the smallest value is."""
    assert fit_span(np.array([0.5, 1.0, 2.0]), signed=False, keep=1.0) == Span(0.0, 2.0)


def test_a_fitted_range_leaves_out_the_strongest_values():
    """Of 0, 1, ... 1000 the share of 99.5 % ends at 995, whatever the largest one is."""
    values = np.append(np.arange(1000.0), 1e9)
    assert KEEP == 0.995
    assert fit_span(values, signed=False).high == pytest.approx(995)


def test_a_peak_that_is_no_outlier_keeps_its_colour():
    """A smooth map ends in a peak, and marked as beyond the scale it would look like a hole in the
    evidence.
    """
    values = np.append(np.linspace(0, 1, 1000), 1.4)
    assert fit_span(values, signed=False) == Span(0.0, 1.4)
    assert fit_span(np.append(values, 1.6), signed=True).high == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("signed", [True, False])
def test_a_map_of_zeros_is_shown_as_zeros(signed: bool):
    """Without a range of its own it would be divided by zero; its colour is that of 0."""
    zeros = np.zeros((3, 3))
    span = fit_span(zeros, signed=signed)
    assert span.low < span.high or (span.low, span.high) == (0.0, 1.0)
    assert set(encode(zeros, span).flat) == {63 if signed else 0}
    assert span.empty
    assert not fit_span(np.array([0.0, 1e-30]), signed=signed).empty


def test_a_map_of_zeros_does_not_widen_a_shared_scale():
    """The range that stands in for its own would make the others pale."""
    weak, strong, zero = (fit_span(np.full(3, value), signed=True) for value in (1e-4, 2e-3, 0.0))
    assert widest([weak, zero, strong]) == strong
    assert widest([zero, zero]).empty


def test_one_bright_pixel_in_darkness_is_not_clipped():
    """Where nearly all values are 0 the quantile is 0, and so no range: the maximum takes its
    place.
    """
    values = np.zeros(1000)
    values[7] = 5.0
    span = fit_span(values, signed=False)
    assert span == Span(0.0, 5.0)
    assert encode(values, span)[7] == 126


def test_values_that_are_not_finite_do_not_stretch_the_range():
    """An infinite range would make every finite value pale."""
    values = np.array([np.nan, np.inf, -np.inf, 2.0, -1.0])
    assert fit_span(values, signed=True, keep=1.0) == Span(-2.0, 2.0)
    assert fit_span(np.array([np.nan, np.inf]), signed=False) == Span(0.0, 1.0)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_clipped_codes_have_colours_outside_the_scale(palette: Palette):
    """Both ends are marks of their own; the codes beside them keep the first and the last
    colour.
    """
    scale = coded_scale(palette.diverging, palette)
    assert colour_of(-1, scale) == (palette.clipped_low,) * 2
    assert colour_of(127, scale) == (palette.clipped_high,) * 2
    assert colour_of(0, scale)[0] == palette.diverging[0][1]
    assert colour_of(126, scale)[1] == palette.diverging[-1][1]


@pytest.mark.parametrize("name", ["diverging", "veil", "glow"])
def test_a_coded_scale_is_one_that_plotly_takes(name: str):
    """Plotly wants places that start at 0, never fall and end at 1."""
    scale = coded_scale(getattr(LIGHT, name), LIGHT)
    places = [place for place, _ in scale]
    assert (places[0], places[-1]) == (0.0, 1.0)
    assert all(low <= high for low, high in itertools.pairwise(places))


def test_the_middle_code_has_the_middle_colour():
    """Code 63 is 0.5 of a gate and 0 of a signed map: the colour that recedes into the page."""
    scale = coded_scale(LIGHT.diverging, LIGHT)
    assert dict(scale)[place_of(63)] == dict(LIGHT.diverging)[0.5]


def test_a_map_laid_over_a_photo_is_clear_at_zero():
    """Where a method says nothing, the photo has to be seen as it is."""
    assert dict(LIGHT.veil)[0.5].endswith(",0)")
    assert dict(LIGHT.glow)[0.0].endswith(",0)")


@pytest.mark.parametrize(
    ("span", "texts"),
    [
        (UNIT, ["0", "0.5", "1"]),
        (SIGNED, ["-2", "0", "2"]),
        (Span(0.0, 0.125), ["0", "0.062", "0.12"]),
    ],
)
def test_ticks_give_the_codes_back_their_values(span: Span, texts: list[str]):
    """A reader sees values, not codes: the range's start, middle and end, to two digits."""
    ticks = code_ticks(span)
    assert ticks["ticktext"] == texts
    assert decode(np.array(ticks["tickvals"]), span) == pytest.approx(
        [span.low, (span.low + span.high) / 2, span.high]
    )


def site(low: float, high: float) -> GateSite:
    return GateSite("a.block", 2, 16, "A", low=low, high=high)


def test_gates_are_drawn_on_the_range_of_their_function():
    """A fixed scale for every image, so that two images can be compared; of two functions it holds
    both ranges.
    """
    gates = np.array([0.2, 0.3])
    assert gate_span([site(0.0, 1.0), site(0.0, 1.0)], gates) == Span(0.0, 1.0)
    assert gate_span([site(0.0, 1.0), site(-1.0, 1.0)], gates) == Span(-1.0, 1.0)


def test_gates_without_an_end_get_a_fitted_scale():
    """A ReLU's gates have no upper end: the scale starts at 0, and lies about 0 only where gates
    are negative.
    """
    fitted = gate_span([site(0.0, math.inf)], np.array([0.0, 4.0]))
    assert fitted.low == 0
    assert 3.9 < fitted.high <= 4.0
    signed = gate_span([site(-math.inf, math.inf)], np.array([-4.0, 1.0]))
    assert signed.low == -signed.high
