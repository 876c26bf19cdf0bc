"""How values show themselves in a notebook: by a part above them, which is imported when one
asks.
"""

from importlib import import_module

_DRAWER = "se_viz.notebooks"
"""Draws; here by its name alone, since it lies above all that it draws."""


def draw_html(value: object) -> str:
    """Return a value of the library as HTML that needs nothing from elsewhere."""
    return import_module(_DRAWER).draw(value)
