"""Figures on a page: each can be downloaded, and may answer a click."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from se_viz.charts import Figure, to_html
from se_viz.ui.session import keys
from se_viz.ui.widgets.theme import current_palette


def show_panel(figure: Figure, key: str, *, alt: str) -> None:
    """Show one of several small figures side by side; the camera is its only button."""
    config = {"displaylogo": False, "modeBarButtons": [["toImage"]], **_camera(key)}
    st.plotly_chart(figure, key=key, config=config, alt=alt)


def show_figure(
    figure: Figure,
    key: str,
    *,
    alt: str,
    on_click: Callable[[str], None] | None = None,
    areas: bool = False,
) -> None:
    """Show a figure with its downloads.

    ``on_click`` is given the key once a point of it was clicked.

    With ``areas`` it is given the key once points were picked by a box or a lasso.
    """
    config = {
        "displaylogo": False,
        "displayModeBar": True,
        "modeBarButtons": [["select2d", "lasso2d", "toImage"] if areas else ["toImage"]],
        **_camera(key),
    }
    event = (lambda: on_click(key)) if on_click else "ignore"
    mode = ("box", "lasso") if areas else "points"
    st.plotly_chart(figure, key=key, config=config, alt=alt, on_select=event, selection_mode=mode)
    offer_html(key, lambda: figure, camera="SVG")


def _camera(key: str) -> dict[str, Any]:
    # Vectors: text stays text, and a slide or a poster may be of any size.
    return {"toImageButtonOptions": {"format": "svg", "filename": f"se_viz-{key}"}}


def offer_html(key: str, draw: Callable[[], Figure], *, camera: str = "PNG") -> None:
    """Offer a figure as an HTML file; it is drawn when somebody asks for it.

    ``camera`` is what the camera of the figure saves.
    """
    palette = current_palette()
    st.download_button(
        "Download as HTML",
        lambda: to_html(draw(), palette),
        file_name=f"se_viz-{key}.html",
        mime="text/html",
        key=f"{keys.HTML}-{key}",
        help=f"As {camera}: the camera at the top right of the figure.",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )
