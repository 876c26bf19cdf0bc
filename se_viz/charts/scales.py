"""Values to colour codes: a shared range, symmetric where signed, with codes of their own for what
is clipped.

Why: docs/decisions/026-scales.md
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from se_viz.charts.palettes import Palette, Scale

KEEP = 0.995
"""Share of values that a fitted scale covers; one bright pixel must not make all others pale."""

CLIPPED = f"The top {1 - KEEP:.1%} of values may be clipped; clipped values have their own colour."
"""What a caption says of a fitted scale."""

# A maximum within this many times what the scale would cover is no outlier: a mark on it would look
# like a hole.
_NEAR = 1.5

_TOP = 126


@dataclass(frozen=True, slots=True)
class Span:
    """The range that colours cover; values beyond it are clipped and marked."""

    low: float
    """Value of the first colour."""
    high: float
    """Value of the last colour."""
    empty: bool = False
    """Whether it stands for values that are all 0, which have no range of their own."""

    @property
    def middle(self) -> float:
        """Return the value halfway: 0.5 for gates, the sigmoid of 0, and 0 for signed values."""
        return (self.low + self.high) / 2


@runtime_checkable
class HasRange(Protocol):
    """What has the range of a gate's function, as a `GateSite`."""

    @property
    def low(self) -> float:
        """Return its lower end."""
        ...

    @property
    def high(self) -> float:
        """Return its upper end."""
        ...


GATES = Span(0.0, 1.0)
"""The scale of gates from a sigmoid, whatever the image."""


def fit_span(values: np.ndarray, *, signed: bool, keep: float = KEEP) -> Span:
    """Cover the share ``keep`` of the values, symmetric about 0 when signed, else from 0.

    All are covered where none is far above the others. Zeros alone get a range that says that it is
    ``empty``.
    """
    magnitudes = np.abs(values[np.isfinite(values)])
    most, top = (
        (float(np.quantile(magnitudes, keep)), float(magnitudes.max()))
        if magnitudes.size
        else (0.0, 0.0)
    )
    high = (top if top <= _NEAR * most else most) or top or 1.0
    return Span(-high if signed else 0.0, high, empty=bool(magnitudes.size) and top == 0)


def widest(spans: Iterable[Span]) -> Span:
    """Return the span that holds all of several that begin at 0 or are symmetric about it.

    Zeros need no room.
    """
    return max(spans, key=lambda span: (not span.empty, span.high))


def gate_span(sites: Sequence[HasRange], gates: np.ndarray) -> Span:
    """Return the scale that a network's gates are drawn on: the range of their functions, the same
    for every image.

    Where that has no end, as with a ReLU, the scale is fitted to the gates.
    """
    span = Span(min(site.low for site in sites), max(site.high for site in sites))
    if np.isfinite((span.low, span.high)).all():
        return span
    return fit_span(gates, signed=bool((gates < 0).any()))


def encode(values: np.ndarray, span: Span) -> np.ndarray:
    """Turn values into int8 codes: 0 to 126 from low to high, -1 below, 127 above.

    A code is coarser than a value by at most 1/252 of the range, less than a screen shows; it is a
    quarter of the bytes.
    """
    share = (values - span.low) / (span.high - span.low)
    codes = np.round(np.nan_to_num(share).clip(0, 1) * _TOP).astype(np.int8)
    codes[share < -1e-9] = -1
    codes[share > 1 + 1e-9] = _TOP + 1
    return codes


def coded_scale(scale: Scale, palette: Palette) -> Scale:
    """Return the colours of the codes -1 to 127, clipped ones at either end."""
    total = _TOP + 2
    edge = 0.9 / total
    inner = [((1 + place * _TOP) / total, colour) for place, colour in scale]
    start = [(0.0, palette.clipped_low), (edge, palette.clipped_low), (edge, scale[0][1])]
    end = [(1 - edge, scale[-1][1]), (1 - edge, palette.clipped_high), (1.0, palette.clipped_high)]
    return [*start, *inner, *end]


def code_ticks(span: Span) -> dict[str, list]:
    """Return tick positions and texts that give codes back their values."""
    texts = [f"{value:.2g}" if value else "0" for value in (span.low, span.middle, span.high)]
    return {"tickvals": [0, _TOP / 2, _TOP], "ticktext": texts}


CODE_RANGE = (-1, _TOP + 1)
"""Lowest and highest code."""
