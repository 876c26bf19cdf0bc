"""What all figures share: axes that hold still, and text that can be read."""

from plotly.graph_objects import Figure

from se_viz.charts.palettes import Palette


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
