import base64
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from se_viz.charts.palettes import DARK, LIGHT
from se_viz.charts.sheets import Tile, to_page, to_png, to_sheet, to_uri

COLOURS = ("red", "lime", "blue", "yellow", "aqua")


class Reader(HTMLParser):
    """Collects texts, and the addresses that a browser would load."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag loads."""
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_data(self, data: str) -> None:
        """Note a text as it will be read."""
        self.texts.append(data)


@pytest.fixture
def tiles() -> list[Tile]:
    """Return five pictures of one colour each, with words."""
    return [
        Tile(f"Method <{colour}>", Image.new("RGB", (8, 8), colour), f"It & {colour}.")
        for colour in COLOURS
    ]


def test_a_sheet_has_four_in_a_row_in_their_order(tiles: list[Tile]):
    """Read from the left, row by row: the columns' colours tell which picture stands where."""
    pixels = np.asarray(to_sheet("A heading", tiles, LIGHT))
    expected = [Image.new("RGB", (1, 1), colour).getpixel((0, 0)) for colour in COLOURS]
    places = [np.argwhere((pixels == colour).all(-1)).mean(0) for colour in expected]
    rows = [round(place[0]) for place in places]
    columns = [round(place[1]) for place in places]
    assert len(set(rows[:4])) == 1
    assert columns[:4] == sorted(columns[:4])
    assert rows[4] > rows[0]
    assert columns[4] == columns[0]


def test_long_words_stay_below_their_own_picture(tiles: list[Tile]):
    """Text that ran on would lie over the neighbour: between two columns nothing is drawn."""
    long = [Tile("T", tile.picture, "many words " * 40) for tile in tiles]
    pixels = np.asarray(to_sheet("", long, LIGHT)).astype(int)
    empty = (pixels == 255).all((0, 2))
    inner = np.flatnonzero(~empty)
    assert (np.diff(inner) > 8).sum() == 3


def test_a_page_holds_every_picture_and_loads_nothing(tiles: list[Tile]):
    """It is opened from a mail or a lecture's folder: pictures are inside, and names are no
    markup.
    """
    reader = Reader(to_page("Why <b>cat</b>", tiles, DARK))
    assert "Why <b>cat</b>" in reader.texts
    assert [text for text in reader.texts if text.startswith("Method")] == [
        tile.title for tile in tiles
    ]
    assert [text for text in reader.texts if text.startswith("It")] == [
        tile.words for tile in tiles
    ]
    assert len(reader.addresses) == len(tiles)
    for address, tile in zip(reader.addresses, tiles, strict=True):
        head, data = address.split(",")
        assert head == "data:image/png;base64"
        assert Image.open(BytesIO(base64.b64decode(data))).getpixel(
            (0, 0)
        ) == tile.picture.getpixel((0, 0))


def test_an_address_holds_the_picture():
    """A browser asks for nothing more; colours of single pixels survive, to within what JPEG
    rounds.
    """
    dots = Image.fromarray(np.random.default_rng(0).choice([60, 200], (16, 16, 3)).astype(np.uint8))
    head, data = to_uri(dots).split(",")
    again = np.asarray(Image.open(BytesIO(base64.b64decode(data)))).astype(int)
    assert head == "data:image/jpeg;base64"
    assert abs(again - np.asarray(dots)).mean() < 8


def test_a_png_is_the_picture_itself(tiles: list[Tile]):
    """No pixel is changed by the file."""
    again = Image.open(BytesIO(to_png(tiles[0].picture)))
    assert again.format == "PNG"
    assert again.tobytes() == tiles[0].picture.tobytes()
