"""What all figures share: axes that hold still, and text that can be read."""

from typing import Any

from plotly.graph_objects import Figure

from se_viz.charts.palettes import Palette, Scale
from se_viz.charts.scales import CODE_RANGE, Span, code_ticks, coded_scale


def dress(figure: Figure, palette: Palette) -> Figure:
    """Give a figure what all figures share, in place, and return it.

    Axes hold still: the handles that zoom an axis would lie over the ends of rows and swallow clicks there. Text has
    the palette's ink: left alone it takes the page theme's grey, which on white is too pale to read.
    """
    ink = {"color": palette.ink}
    texts = {"tickfont": ink, "title": {"font": ink}}
    figure.update_layout(font=ink)
    figure.update_xaxes(texts, fixedrange=True)
    figure.update_yaxes(texts, fixedrange=True)
    return figure.update_coloraxes(colorbar=texts)


def colour_axis(scale: Scale, palette: Palette, span: Span, *, title: str, **bar: Any) -> dict[str, Any]:
    """Return the layout of a colour axis for encoded values, with a thin bar that lies flat; ``bar`` places it."""
    return {
        "colorscale": coded_scale(scale, palette),
        "cmin": CODE_RANGE[0],
        "cmax": CODE_RANGE[1],
        "colorbar": {
            "title": {"text": title, "side": "top"},
            "orientation": "h",
            "outlinewidth": 0,
            **code_ticks(span),
            **bar,
        },
    }
