"""Figures as files: pages that draw themselves, vector graphics, pictures."""

import ast
import gzip
import importlib.util
import json
import os
import re
import sys
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image
from plotly.offline import get_plotlyjs_version

from benchmarks.bundle import TRACES
from se_viz.charts import can_draw, draw_overlay, figure_bytes, save_figure, to_html
from se_viz.charts.export import library_version
from se_viz.charts.palettes import DARK, LIGHT, Palette
from se_viz.charts.scales import fit_span
from se_viz.errors import DataError, OptionError
from tests import ROOT

needs_browser = pytest.mark.skipif(not can_draw(), reason="needs kaleido and a Chromium")


class Addresses(HTMLParser):
    """Collects every address that a browser would load while it reads a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag loads; the text of scripts is no tag."""
        self.found += [
            value for name, value in attrs if name in ("src", "href", "srcset", "data") and value
        ]


@pytest.fixture
def photo() -> Image.Image:
    """Return a photo of two colours, 6 x 4 pixels."""
    photo = Image.new("RGB", (6, 4), "red")
    photo.paste("white", (3, 0, 6, 4))
    return photo


def overlay(photo: Image.Image, values: np.ndarray) -> go.Figure:
    span = fit_span(values, signed=True)
    return draw_overlay(photo, values, LIGHT, span=span, opacity=0.8, title="what it means")


def unpack(page: str, name: str) -> str:
    """Return what a page carries packed, as a browser unpacks it."""
    match = re.search(f'<script type="text/plain" id="{name}">([^<]*)</script>', page)
    assert match
    return gzip.decompress(b64decode(match.group(1))).decode()


def test_a_figure_alone_needs_no_network(photo: Image.Image):
    """A file that is opened in a train has to draw: Plotly's script is inside, and no tag loads
    anything else.
    """
    page = to_html(overlay(photo, np.zeros((4, 6))), LIGHT).decode()
    addresses = Addresses()
    addresses.feed(page)
    assert [address for address in addresses.found if not address.startswith("data:")] == []
    assert "plotly.js v" in page
    assert "Plotly.newPlot" in page
    assert "newPlot" in unpack(page, "library")


def test_a_page_carries_the_whole_figure(photo: Image.Image):
    """What is drawn there is what is drawn here: the same traces, values and axes."""
    values = np.arange(24.0).reshape(4, 6)
    figure = overlay(photo, values)
    carried = json.loads(unpack(to_html(figure, LIGHT).decode(), "data"))
    assert carried["data"] == json.loads(figure.to_json() or "")["data"]
    assert carried["layout"]["xaxis"] == figure.to_plotly_json()["layout"]["xaxis"]


@pytest.mark.parametrize("side", [224, 600])
def test_a_page_has_less_than_a_megabyte(side: int):
    """The largest input of the zoo has 600 pixels a side; a map and a photo of noise pack worst."""
    dice = np.random.default_rng(0)
    photo = Image.fromarray(dice.integers(0, 256, (side, side, 3), dtype=np.uint8))
    smooth = photo.resize((side // 4, side // 4)).resize((side, side), Image.Resampling.BICUBIC)
    page = to_html(overlay(smooth, dice.normal(size=(side, side)).cumsum(1)), LIGHT)
    assert len(page) < 1_000_000


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_a_figure_alone_has_the_colours_of_its_page(photo: Image.Image, palette: Palette):
    """Without the page around it, dark ink on a browser's white would be light ink on white at
    night.
    """
    page = to_html(overlay(photo, np.zeros((4, 6))), palette).decode()
    data = unpack(page, "data")
    assert f'"paper_bgcolor":"{palette.page}"' in data
    assert f'"color":"{palette.ink}"' in data
    assert f"background: {palette.page}; color: {palette.ink};" in page


def test_a_figure_on_the_page_is_not_changed_by_saving_it(photo: Image.Image):
    """The download is made from the very figure that is shown."""
    figure = overlay(photo, np.zeros((4, 6)))
    before = figure.to_json()
    to_html(figure, DARK)
    assert figure.to_json() == before


def test_a_title_is_no_markup(photo: Image.Image):
    """A class may be named after a tag."""
    figure = overlay(photo, np.zeros((4, 6)))
    figure.update_layout(title="</title><script>alert(1)</script>")
    assert "<title>&lt;/title&gt;&lt;script&gt;" in to_html(figure, LIGHT).decode()


def test_the_script_is_that_of_the_installed_plotly():
    """Figures that one version makes are drawn by the same version, on the page and in a file."""
    assert library_version() == get_plotlyjs_version()


def test_the_bundle_draws_every_kind_of_trace():
    """It holds no others: a figure with another kind would be an empty page."""
    kinds = set()
    for file in (ROOT / "se_viz" / "charts").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                kinds |= {
                    value.value
                    for key, value in pairs
                    if isinstance(key, ast.Constant)
                    and key.value == "type"
                    and isinstance(value, ast.Constant)
                }
    shapes_and_axes = {"line", "rect", "category", "data"}
    assert kinds - shapes_and_axes == {"scatter", *TRACES}


def test_a_page_is_written_by_its_ending(tmp_path: Path, photo: Image.Image):
    """Also in capitals; the file is the one that a download gives."""
    figure = overlay(photo, np.zeros((4, 6)))
    save_figure(figure, tmp_path / "map.HTML", DARK)
    assert (tmp_path / "map.HTML").read_bytes() == to_html(figure, DARK)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("map.gif", r"map\.gif ends in none of \.svg, \.pdf, \.png, \.html\."),
        ("nowhere/map.svg", r"There is no folder .*nowhere\. Create it"),
    ],
)
def test_a_name_that_cannot_be_written_is_said(
    tmp_path: Path, photo: Image.Image, name: str, sentence: str
):
    """Before a browser is started."""
    with pytest.raises(DataError, match=sentence):
        save_figure(overlay(photo, np.zeros((4, 6))), tmp_path / name)


def test_without_kaleido_the_step_is_named(photo: Image.Image, monkeypatch: pytest.MonkeyPatch):
    """It is an extra; a page needs nothing."""
    # As Python notes a module that cannot be imported.
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(OptionError, match=r"not installed\. Install it: pip install 'se_viz\[fig"):
        figure_bytes(overlay(photo, np.zeros((4, 6))), ".svg")


def test_without_a_browser_the_step_is_named(photo: Image.Image, monkeypatch: pytest.MonkeyPatch):
    """kaleido tells it in four lines."""

    class Lacking:
        @staticmethod
        def calc_fig_sync(*_: Any, **__: Any) -> bytes:
            raise RuntimeError("Browser not found. You can use get_chrome()")

    monkeypatch.setitem(sys.modules, "kaleido", Lacking)
    with pytest.raises(OptionError, match=r"it needs Chrome or Chromium .*BROWSER_PATH, or write"):
        figure_bytes(overlay(photo, np.zeros((4, 6))), ".pdf")


@needs_browser
@pytest.mark.slow
def test_text_of_vector_graphics_stays_text(tmp_path: Path, photo: Image.Image):
    """Whoever makes a poster changes a font, and a reader searches a paper."""
    figure = overlay(photo, np.arange(24.0).reshape(4, 6))
    save_figure(figure, tmp_path / "map.svg", width=640, height=480)
    graphic = (tmp_path / "map.svg").read_text()
    assert re.search(r"<text[^>]*>what it means</text>", graphic)
    assert 'width="640" height="480"' in graphic
    save_figure(figure, tmp_path / "map.pdf")
    document = (tmp_path / "map.pdf").read_bytes()
    assert document.startswith(b"%PDF-")
    # A page of pictures has no font.
    assert b"/Type /Font" in document or b"/Type/Font" in document


@needs_browser
@pytest.mark.slow
def test_a_picture_has_the_pixels_that_were_asked_for(photo: Image.Image):
    """Width and height times the scale."""
    content = figure_bytes(overlay(photo, np.zeros((4, 6))), ".png", width=300, height=200, scale=3)
    assert Image.open(BytesIO(content)).size == (900, 600)


def test_what_can_be_drawn_is_told(monkeypatch: pytest.MonkeyPatch):
    """Pages offer what works: with a browser and kaleido, and not with one of them alone."""
    spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: True if name == "kaleido" else spec(name)
    )
    monkeypatch.setitem(os.environ, "BROWSER_PATH", "/usr/bin/chromium")
    assert can_draw()
    monkeypatch.delitem(os.environ, "BROWSER_PATH")
    monkeypatch.setitem(os.environ, "PATH", "")
    assert not can_draw()
