"""Figures as files: pages that draw themselves, vector graphics and pictures.

Why: docs/decisions/042-figures-as-files.md
"""

import gzip
import importlib.util
import os
import shutil
import threading
from base64 import b64encode
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from plotly.graph_objects import Figure

from se_viz.charts.palettes import LIGHT, Palette
from se_viz.errors import OptionError
from se_viz.files import FIGURES, check_name, told, write_file

LIBRARY = Path(__file__).with_name("plotly-part.min.js.gz")
"""The part of Plotly that figures here are made with: a quarter of the whole. Written by
`python -m benchmarks.bundle`."""
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
_one_browser = threading.Lock()
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>body {{ margin: 0; background: {page}; color: {ink}; font: 16px sans-serif; }}</style>
</head>
<body>
<!-- plotly.js v{version}, copyright 2012-2026 Plotly, Inc., MIT licence, https://plotly.com -->
<div id="figure"><noscript>This figure is drawn by a script: let scripts run.</noscript></div>
<script type="text/plain" id="library">{library}</script>
<script type="text/plain" id="data">{data}</script>
<script>
async function unpack(id) {{
  const text = atob(document.getElementById(id).textContent);
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}}
async function draw() {{
  const script = document.createElement("script");
  script.textContent = await unpack("library");
  document.head.append(script);
  const figure = JSON.parse(await unpack("data"));
  const image = {{ format: "svg", filename: "se_viz" }};
  const config = {{ responsive: true, displaylogo: false, toImageButtonOptions: image }};
  await Plotly.newPlot("figure", figure.data, figure.layout, config);
}}
draw().catch((error) => {{
  document.getElementById("figure").textContent =
    `The figure cannot be drawn here (${{error}}). Open this page in a browser of 2023 or newer.`;
}});
</script>
</body>
</html>
"""


def save_figure(
    figure: Figure,
    path: Path | str,
    palette: Palette = LIGHT,
    *,
    width: int = 900,
    height: int | None = None,
    scale: int | float = 2,
) -> None:
    """Write a figure as SVG, PDF, PNG or HTML, by the ending of the name.

    SVG and PDF have text that stays text. All but HTML are drawn by kaleido, which is an extra
    (``pip install 'se_viz[figures]'``), in a Chrome or Chromium on this machine. ``width`` and
    ``height`` are pixels (default: the figure's own height); a PNG has ``scale`` times as many. An
    HTML page fills its window, draws itself without a network, and has less than a megabyte. The
    file is written beside an older one and renamed.

    Raises:
        DataError: the ending is another one, or the file cannot be written.
        OptionError: kaleido is not installed, or finds no Chrome.
    """
    path = Path(path)
    check_name(path, FIGURES)
    content = figure_bytes(
        figure, path.suffix.lower(), palette, width=width, height=height, scale=scale
    )
    with told(path):
        write_file(path, content)


def figure_bytes(
    figure: Figure,
    suffix: str,
    palette: Palette = LIGHT,
    *,
    width: int = 900,
    height: int | None = None,
    scale: int | float = 2,
) -> bytes:
    """Return the content of a figure's file for one of ``FIGURES``, see `save_figure`.

    Raises:
        OptionError: kaleido is not installed, or finds no Chrome.
    """
    if suffix == ".html":
        return to_html(figure, palette)
    alone = stand_alone(figure, palette)
    options = {
        "format": suffix.removeprefix("."),
        "width": width,
        "height": height or _layout(alone).get("height", 500),
        "scale": scale if suffix == ".png" else 1,
    }
    return _draw(alone, options)


def can_draw() -> bool:
    """Tell whether this machine has what it takes to write figures as SVG, PDF and PNG."""
    browser = os.environ.get("BROWSER_PATH") or any(map(shutil.which, _BROWSERS))
    return bool(browser) and importlib.util.find_spec("kaleido") is not None


def to_html(figure: Figure, palette: Palette) -> bytes:
    """Return a figure as one HTML file that needs no network, in the colours of the page it comes
    from.
    """
    alone = stand_alone(figure, palette)
    words = _layout(alone).get("title", {}).get("text") or "se_viz"
    return _PAGE.format(
        title=escape(words),
        page=palette.page,
        ink=palette.ink,
        version=library_version(),
        library=_library(),
        data=b64encode(gzip.compress((alone.to_json() or "").encode(), mtime=0)).decode(),
    ).encode()


def stand_alone(figure: Figure, palette: Palette) -> Figure:
    """Return a copy of a figure that has the colours and margins of a page of its own."""
    # A copy: on the page the same figure goes on with Streamlit's colours.
    alone = Figure(figure).update_layout(
        template="none", paper_bgcolor=palette.page, font_color=palette.ink
    )
    return alone.update_layout(margin={"l": 70, "r": 30, "t": 60, "b": 60})


def _layout(figure: Figure) -> dict[str, Any]:
    return figure.to_plotly_json()["layout"]


def library_version() -> str:
    """Return the version of the script that pages carry, as it says itself."""
    begin = gzip.decompress(LIBRARY.read_bytes())[:200].decode(errors="replace")
    return begin.partition(" v")[2].split()[0]


@cache
def _library() -> str:
    return b64encode(LIBRARY.read_bytes()).decode()


def _draw(figure: Figure, options: dict[str, Any]) -> bytes:
    try:
        # By name: an extra, which need not be there.
        kaleido = importlib.import_module("kaleido")
    except ModuleNotFoundError as error:
        raise OptionError(
            "SVG, PDF and PNG files of figures are drawn by kaleido, which is not installed. "
            "Install it: pip install 'se_viz[figures]', or write the figure as .html."
        ) from error
    try:
        # One after the other: each starts a browser. Formulas would be fetched from outside.
        with _one_browser:
            return kaleido.calc_fig_sync(figure, opts=options, kopts={"mathjax": False})
    except Exception as error:
        # Of kaleido's errors only the names are documented, and some have none of their own.
        raise OptionError(
            f"kaleido could not draw the figure ({type(error).__name__}): it needs Chrome or "
            "Chromium on this machine. Install one, or name it in BROWSER_PATH, or write the "
            "figure as .html."
        ) from error
