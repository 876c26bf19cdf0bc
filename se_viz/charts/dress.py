"""What all figures share: axes that hold still, and text that can be read.

Why: docs/decisions/028-figures-in-one-piece.md
"""

from collections.abc import Sequence
from typing import Any

from plotly.graph_objects import Figure

from se_viz.charts.palettes import Palette, Scale
from se_viz.charts.scales import CODE_RANGE, Span, code_ticks, coded_scale

LAYOUT: dict[str, Any] = {
    "margin": {"l": 0, "r": 0, "t": 8, "b": 0},
    "showlegend": False,
    "dragmode": False,
    "hovermode": "closest",
    "plot_bgcolor": "rgba(0,0,0,0)",
}
"""What a layout begins with."""

LEGEND = {
    "orientation": "h",
    "x": 0,
    "xanchor": "left",
    "y": 0,
    "yref": "container",
    "yanchor": "bottom",
}
"""Where a legend is: at the lower edge, since the buttons of a figure lie over its upper one."""

NOTHING = "0 everywhere"
"""What colours are called where all values are 0."""

validated = False
"""Whether Plotly looks at every property of a figure, which takes it longer than all else
together; tests do."""


def make_figure(data: Sequence[dict[str, Any]], layout: dict[str, Any], palette: Palette) -> Figure:
    """Make a dressed figure from traces and a layout as mappings.

    In one piece: Plotly takes many times as long where a figure is changed property by property.

    Dressed: axes hold still, as the handles that zoom an axis would lie over the ends of rows and
    swallow clicks there. Text has the palette's ink: left alone it takes the page theme's grey,
    which on white is too pale to read.
    """
    dressed = {
        key: _dress_axis(value, palette) if key[1:5] == "axis" else value
        for key, value in layout.items()
    }
    for note in (notes := [dict(note) for note in layout.get("annotations", ())]):
        note["font"] = {"color": palette.ink, **note.get("font", {})}
    font = {"color": palette.ink, "size": palette.text_size}
    whole = {"data": data, "layout": {**dressed, "annotations": notes, "font": font}}
    return Figure(whole, _validate=validated)


def _dress_axis(axis: dict[str, Any], palette: Palette) -> dict[str, Any]:
    ink = {"color": palette.ink}
    title = {"text": axis["title"]} if "title" in axis else {}
    return {**axis, "fixedrange": True, "tickfont": ink, "title": {**title, "font": ink}}


def literal(text: str) -> str:
    """Return a name as a text of Plotly, which takes tags and entities for what they do in HTML."""
    for mark, entity in {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.items():
        text = text.replace(mark, entity)
    return " ".join(text.splitlines())


def divide(parts: int, gap: float) -> list[tuple[float, float]]:
    """Return where equal parts of a figure's side begin and end, from 0 to 1, with a gap between
    neighbours.
    """
    size = (1 - gap * (parts - 1)) / parts
    return [(part * (size + gap), part * (size + gap) + size) for part in range(parts)]


def rule(
    palette: Palette, *, x: int | float | None = None, y: int | float | None = None
) -> dict[str, Any]:
    """Return the shape of a dotted line across a plot, at one place of its x axis or of its y
    axis.
    """
    along = (
        {"x0": x, "x1": x, "y0": 0, "y1": 1} if y is None else {"x0": 0, "x1": 1, "y0": y, "y1": y}
    )
    refs = {"xref": "x domain" if x is None else "x", "yref": "y domain" if y is None else "y"}
    return {
        "type": "line",
        **along,
        **refs,
        "line": {"color": palette.faint, "width": 1, "dash": "dot"},
    }


def invisible_marks(size: int) -> dict[str, Any]:
    """Return the part of a scatter trace that takes clicks and hovers over colours, which alone
    tell neither.
    """
    clear = {"marker": {"opacity": 0}}
    marker = {"size": size, "opacity": 0, "symbol": "square"}
    return {
        "type": "scatter",
        "mode": "markers",
        "marker": marker,
        "selected": clear,
        "unselected": clear,
    }


def colour_axis(
    scale: Scale, palette: Palette, span: Span, *, title: str, **bar: Any
) -> dict[str, Any]:
    """Return the layout of a colour axis for encoded values, with a thin bar that lies flat.

    ``bar`` places it.

    Where all values are 0, it has the colour of 0 alone, and says so.
    """
    return {
        "colorscale": _only_zero(scale, span) if span.empty else coded_scale(scale, palette),
        "cmin": CODE_RANGE[0],
        "cmax": CODE_RANGE[1],
        "colorbar": {
            "title": {
                "text": NOTHING if span.empty else title,
                "side": "top",
                "font": {"color": palette.ink},
            },
            "tickfont": {"color": palette.ink},
            "orientation": "h",
            "outlinewidth": 0,
            **({"showticklabels": False, "ticks": ""} if span.empty else code_ticks(span)),
            **bar,
        },
    }


def _only_zero(scale: Scale, span: Span) -> Scale:
    place = -span.low / (span.high - span.low)
    colour = min(scale, key=lambda stop: abs(stop[0] - place))[1]
    return [(0.0, colour), (1.0, colour)]
