"""Colours and scales as data.

Safe for colour-blind readers, one set for light pages and one for dark.
"""

from dataclasses import dataclass

Scale = list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one theme."""

    diverging: Scale
    """From the colour named ``low_name`` to the one named ``high_name``; the middle recedes into
    the page."""
    low_name: str
    """The word for the colour below the middle, for sentences that name it."""
    high_name: str
    """The word for the colour above the middle, for sentences that name it."""
    veil: Scale
    """The same hues with a transparent middle, to lie over a photo."""
    glow: Scale
    """Transparent to yellow, for maps without negative values, to lie over a photo."""
    page: str
    """Background of a figure that stands alone."""
    ink: str
    """Text and marks."""
    faint: str
    """Rules and secondary marks."""
    accent: str
    """What is new, or was changed by hand."""
    missing: str
    """Not a number."""
    clipped_low: str
    """Below the shown range."""
    clipped_high: str
    """Above the shown range."""
    series: tuple[str, str, str, str]
    """Lines and points of up to four kinds, which also differ in shape; after Okabe and Ito."""
    text_size: int = 12
    """Pixels of type in figures."""


_VEIL: Scale = [
    (0.0, "rgba(10,70,220,1)"),
    (0.3, "rgba(40,110,235,0.85)"),
    (0.45, "rgba(90,150,240,0.35)"),
    (0.5, "rgba(128,128,128,0)"),
    (0.55, "rgba(250,150,70,0.35)"),
    (0.7, "rgba(240,110,20,0.85)"),
    (1.0, "rgba(200,60,0,1)"),
]
_GLOW: Scale = [
    (0.0, "rgba(68,1,84,0)"),
    (0.35, "rgba(120,28,109,0.75)"),
    (0.7, "rgba(237,105,37,0.95)"),
    (1.0, "rgba(252,230,90,1)"),
]

LIGHT = Palette(
    diverging=[
        (0.0, "#0b3c8c"),
        (0.25, "#5b93d6"),
        (0.5, "#eceef1"),
        (0.75, "#ee9a4d"),
        (1.0, "#a33c00"),
    ],
    low_name="blue",
    high_name="orange",
    veil=_VEIL,
    glow=_GLOW,
    page="#ffffff",
    ink="#1d2330",
    faint="#8a93a3",
    accent="#d9660f",
    missing="#d62bc3",
    clipped_low="#061c45",
    clipped_high="#5c2100",
    series=("#0072b2", "#c24f00", "#00805c", "#b0457f"),
)
DARK = Palette(
    diverging=[
        (0.0, "#8cc0ff"),
        (0.25, "#3f78c4"),
        (0.5, "#23283a"),
        (0.75, "#c9701f"),
        (1.0, "#ffc27a"),
    ],
    low_name="blue",
    high_name="orange",
    veil=_VEIL,
    glow=_GLOW,
    page="#12151f",
    ink="#e8ebf2",
    faint="#7b8498",
    accent="#f08a3c",
    missing="#ff5ce1",
    clipped_low="#d9eaff",
    clipped_high="#ffe9cf",
    series=("#56b4e9", "#f0883e", "#2dbd92", "#e08fbd"),
)
