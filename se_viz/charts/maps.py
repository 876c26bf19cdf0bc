"""Maps over photos and feature maps in pairs: where something is, and how a gate changed it."""

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.graph_objects import Figure
from plotly.subplots import make_subplots

from se_viz.charts.dress import colour_axis, dress
from se_viz.charts.palettes import Palette
from se_viz.charts.scales import CODE_RANGE, coded_scale, encode, fit_span


def draw_overlay(
    photo: Image.Image, values: np.ndarray, palette: Palette, *, signed: bool, opacity: float, title: str
) -> Figure:
    """Lay a map of (height, width) values over the photo of the same size, in grey so that only the map has colour.

    Where the map is 0 it is clear. Signed maps are symmetric about 0. ``opacity`` runs from 0 (photo only) to 1.
    """
    span = fit_span(values, signed=signed)
    height, width = values.shape
    figure = Figure(
        go.Heatmap(z=encode(values, span), opacity=opacity, coloraxis="coloraxis", hoverinfo="skip", zsmooth=False)
    )
    figure.add_layout_image(**photo_layer(photo, width, height), xref="x", yref="y")
    scale = palette.veil if signed else palette.glow
    bar = {"thickness": 10, "y": -0.02, "yanchor": "top"}
    figure.update_layout(
        height=440,
        margin={"l": 0, "r": 0, "t": 8, "b": 34},
        dragmode=False,
        plot_bgcolor="rgba(0,0,0,0)",
        coloraxis=colour_axis(scale, palette, span, title=title, **bar),
    )
    figure.update_xaxes(visible=False, range=[-0.5, width - 0.5], constrain="domain")
    figure.update_yaxes(visible=False, range=[height - 0.5, -0.5], scaleanchor="x", constrain="domain")
    return dress(figure, palette)


def draw_channels(features: np.ndarray, gates: np.ndarray, channels: Sequence[int], palette: Palette) -> Figure:
    """Draw chosen channels of one block before scaling (top) and after (below).

    ``features`` is U, (channels, height, width); ``gates`` is s, (channels,). Each pair shares one scale,
    symmetric about 0, so that only the gate changes the colour. Points carry the channel's number as custom data.
    """
    titles = [f"#{channel}<br>s = {gates[channel]:.2f}" for channel in channels]
    figure = make_subplots(
        rows=2, cols=len(channels), column_titles=titles, horizontal_spacing=0.012, vertical_spacing=0.03
    )
    for column, channel in enumerate(channels, 1):
        pair = np.stack([features[channel], features[channel] * gates[channel]])
        span = fit_span(pair, signed=True, keep=1.0)
        for line, values in enumerate(pair, 1):
            heat = go.Heatmap(z=encode(values, span), coloraxis="coloraxis", hoverinfo="skip")
            figure.add_trace(heat, row=line, col=column)
            figure.add_trace(_target(channel, values.shape), row=line, col=column)
    colours = {"colorscale": coded_scale(palette.diverging, palette), "cmin": CODE_RANGE[0], "cmax": CODE_RANGE[1]}
    figure.update_layout(
        height=262,
        margin={"l": 46, "r": 0, "t": 66, "b": 4},
        dragmode=False,
        coloraxis={**colours, "showscale": False},
        showlegend=False,
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, autorange="reversed")
    for line, word in ((1, "before"), (2, "after")):
        figure.update_yaxes(visible=True, showticklabels=False, title=word, ticks="", showgrid=False, row=line, col=1)
    figure.update_yaxes(title_font_color=palette.ink).update_annotations(font_color=palette.ink)
    return dress(figure, palette)


def _target(channel: int, shape: tuple[int, ...]) -> go.Scatter:
    """Return an invisible point over a map: colours alone tell no click."""
    marker = {"size": 90, "opacity": 0, "symbol": "square"}
    return go.Scatter(
        x=[(shape[1] - 1) / 2],
        y=[(shape[0] - 1) / 2],
        mode="markers",
        marker=marker,
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        customdata=[str(channel)],
        hovertemplate=f"click to choose channel {channel}<extra></extra>",
    )


def to_html(figure: Figure, palette: Palette) -> bytes:
    """Return a figure as one HTML file that needs no network, in the colours of the page it comes from."""
    alone = Figure(figure).update_layout(template="none", paper_bgcolor=palette.page, font_color=palette.ink)
    return alone.update_layout(margin={"l": 70, "r": 30, "t": 60, "b": 60}).to_html(include_plotlyjs=True).encode()


def photo_layer(photo: Image.Image, width: int, height: int) -> dict[str, Any]:
    """Return the layout of a photo in grey below a map of this size."""
    place = {"x": -0.5, "y": -0.5, "sizex": width, "sizey": height}
    return {"source": _data_uri(photo.convert("L")), "sizing": "stretch", "layer": "below", **place}


def _data_uri(photo: Image.Image) -> str:
    file = BytesIO()
    photo.save(file, "JPEG", quality=92)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
