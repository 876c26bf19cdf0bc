"""Pictures with their words laid out on one sheet: as a picture, or as a page that stands alone."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from se_viz.charts.palettes import Palette

_ACROSS = 4
_SIDE = 320
_GAP = 24
_HEAD = 30
_LINE = 18
_LINES = 6
_TOP = 64


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of a sheet."""

    title: str
    """What stands above it."""
    picture: Image.Image
    """Square, of any size."""
    words: str
    """What stands below it."""


def to_png(picture: Image.Image) -> bytes:
    """Return a picture as a PNG file."""
    file = BytesIO()
    # The smallest file takes five times as long.
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()


def to_uri(picture: Image.Image) -> str:
    """Return a picture as an address that holds it: a third of a PNG's size, for a hundredth of
    its time.
    """
    file = BytesIO()
    # Colour as fine as light: single pixels of a map have colours of their own.
    picture.save(file, "JPEG", quality=95, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def to_sheet(heading: str, tiles: Sequence[Tile], palette: Palette) -> Image.Image:
    """Put tiles on one picture, four in a row, below a heading.

    Words that find no room are left out.
    """
    across = min(_ACROSS, len(tiles))
    down = -(-len(tiles) // _ACROSS)
    wide = _SIDE + _GAP
    high = _HEAD + _SIDE + _LINES * _LINE + _GAP
    sheet = Image.new("RGB", (across * wide + _GAP, _TOP + down * high), palette.page)
    ImageDraw.Draw(sheet).text((_GAP, _GAP), heading, palette.ink, ImageFont.load_default(20))
    for index, tile in enumerate(tiles):
        _place(sheet, tile, (_GAP + index % across * wide, _TOP + index // across * high), palette)
    return sheet


def _place(sheet: Image.Image, tile: Tile, corner: tuple[int, int], palette: Palette) -> None:
    left, top = corner
    pen = ImageDraw.Draw(sheet)
    pen.text((left, top), tile.title, palette.ink, ImageFont.load_default(17))
    picture = tile.picture.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    sheet.paste(picture, (left, top + _HEAD))
    small = ImageFont.load_default(13)
    for number, line in enumerate([*_wrap(tile.words, small)][:_LINES]):
        pen.text((left, top + _HEAD + _SIDE + 8 + number * _LINE), line, palette.ink, small)


def _wrap(words: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Iterator[str]:
    line = ""
    for word in words.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > _SIDE:
            yield line
            longer = word
        line = longer
    yield line


def to_page(heading: str, tiles: Sequence[Tile], palette: Palette) -> bytes:
    """Return tiles as one HTML file that needs no network, in the colours of the page they come
    from.
    """
    style = (
        f"body{{background:{palette.page};color:{palette.ink};font:16px sans-serif;margin:2rem}}"
        "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(280px,1fr));gap:2rem}"
        "figure{margin:0}img{width:100%;margin:.5rem 0}"
    )
    figures = "".join(map(_figure, tiles))
    return (
        '<!doctype html><html lang="en"><head><meta '
        f'charset="utf-8"><title>{escape(heading)}</title>'
        f"<style>{style}</style></head><body><h1>{escape(heading)}</h1><main>{figures}</main></body></html>"
    ).encode()


def _figure(tile: Tile) -> str:
    source = "data:image/png;base64," + base64.b64encode(to_png(tile.picture)).decode()
    title = escape(tile.title)
    words = f"<figcaption>{escape(tile.words)}</figcaption>"
    return f'<figure><strong>{title}</strong><img src="{source}" alt="{title}">{words}</figure>'
