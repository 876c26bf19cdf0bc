"""The pictures of *How to read it*, as SVG in the colours of the page; their numbers are those of
one sample and the bundled network.

`docs/guide_numbers.py` makes them anew.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from html import escape
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImageOps

from se_viz.charts import Map, Palette, paint_map, signed
from se_viz.images import list_samples

Number: TypeAlias = int | float

WIDE = 440
"""Width of every picture, in its own units: type of 13 is read on a phone too."""
_SIDE = 288
_ARROW = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" class="fill"/></marker></defs>'
)
_Z = (0.15, 0.8, 0.35, 0.6, 0.1, 0.9, 0.45, 0.7)
_HIDDEN = (0.75, 0.5, 0.9, 0.6)
_S = (0.9, 0.15, 0.7, 0.3, 0.85, 0.05, 0.6, 0.95)
"""Shades of the drawn block, which is no measurement."""


@cache
def read_numbers() -> Mapping[str, Any]:
    """Return the numbers of all pictures, as `docs/guide_numbers.py` wrote them."""
    return json.loads(Path(__file__).with_name("numbers.json").read_text(encoding="utf-8"))


def draw_block(palette: Palette) -> str:
    """Draw one block as the paper's figure does: squeeze, excitation, scale."""
    parts = [
        _ARROW,
        *_stack(8, 128, palette, gate=1.0),
        _text(62, 232, "U", "middle letter"),
        _line("M62 104V74H150"),
        _text(8, 44, "1 · Squeeze", "strong"),
        _text(8, 62, "each map: its mean"),
        *_strip(156, 26, _Z, palette),
        _text(162, 138, "z", "middle letter"),
        _line("M174 74H214"),
        _text(194, 66, "W₁", "middle"),
        _text(226, 14, "2 · Excitation", "middle strong"),
        *_strip(220, 50, _HIDDEN, palette),
        _text(226, 116, "C/r", "middle"),
        _line("M238 74H278"),
        _text(258, 66, "W₂", "middle"),
        *_strip(284, 26, _S, palette),
        _text(306, 46, "s: gates", "letter"),
        _line("M290 126V158"),
        _line("M128 172H278"),
        '<circle cx="290" cy="172" r="11" class="line"/>',
        _text(290, 177, "×", "middle strong"),
        _line("M302 172H326"),
        _text(280, 150, "3 · Scale", "end strong"),
        _text(204, 192, "U goes on unchanged", "middle"),
        *_stack(332, 128, palette, gate=read_numbers()["channel"]["gate"]),
        _text(386, 232, "X̃", "middle letter"),
    ]
    return _svg(
        240,
        "A squeeze-and-excitation block. Squeeze: each map of U becomes one number, its mean. "
        "Excitation: two layers, W1 to C/r hidden units and W2 back, make a gate of each. Scale: U "
        "times its gates is X tilde.",
        parts,
    )


def draw_gate_map(palette: Palette) -> str:
    """Draw gates of every block, and say what a row and a cell are."""
    gates: Mapping[str, list[float]] = read_numbers()["gates"]
    left, top, row, wide = 66, 36, 9, 366
    parts: list[str] = []
    y = top
    for stage, labels in groupby(gates, key=lambda label: label.split("_")[1]):
        rows = np.array([gates[label] for label in labels])
        high = row * len(rows)
        parts.append(_text(0, y + min(high, 30) / 2 + 5, f"Stage {stage}"))
        parts.append(_image(left, y, wide, high, _paint(rows, palette)))
        y += high + 7
    count = len(next(iter(gates.values())))
    cell = wide / count
    column = left + round(0.82 * count) * cell
    parts += [
        f'<rect x="{left - 1}" y="{top - 1}" width="{wide + 2}" height="{row + 2}" class="frame"/>',
        f'<rect x="{column - 1}" y="{top - 2}" width="{cell + 2}" height="{row + 4}" '
        'class="frame strong"/>',
        _text(left, 14, "one row: a block", "strong"),
        _line(f"M{left + 40} 19V{top - 3}", tip=False),
        _text(WIDE - 2, 14, "one cell: a channel", "end strong"),
        _line(f"M{column + cell / 2} 19V{top - 4}", tip=False),
        *_scale(left, y + 8, 168, palette, ("0 shut", "0.5", "1 open")),
        _text(WIDE - 8, y + 17, f"the first {count} channels", "end"),
    ]
    return _svg(
        y + 40,
        f"A gate map: {len(gates)} rows, one a block, from stage 2 on top to stage 5 below; one "
        f"row and one cell are framed. Gates near 1 are {palette.high_name}, near 0 "
        f"{palette.low_name}.",
        parts,
    )


def draw_channel(palette: Palette) -> str:
    """Draw one channel before and after its gate, on one scale."""
    channel = read_numbers()["channel"]
    values = (np.array(channel["map"]) + 1) / 2
    gate = channel["gate"]
    after = (np.array(channel["map"]) * gate + 1) / 2
    side, right = 164, WIDE - 164
    parts = [
        _ARROW,
        _text(side / 2, 14, "before: u", "middle strong"),
        _image(0, 24, side, side, _paint(values, palette)),
        _text(WIDE / 2, 96, f"× {gate:g}", "middle strong"),
        _line(f"M{side + 14} 108H{right - 14}"),
        _text(WIDE / 2, 128, "its gate", "middle"),
        _text(right + side / 2, 14, "after: s · u", "middle strong"),
        _image(right, 24, side, side, _paint(after, palette)),
        *_scale(WIDE / 2 - 84, 204, 168, palette, ("below 0", "0", "above 0")),
    ]
    return _svg(
        234,
        f"Channel {channel['number']} of {channel['block']} before and after its gate of {gate:g}: "
        "the same pattern, paler at every place.",
        parts,
    )


def draw_attribution(palette: Palette) -> str:
    """Draw a signed map over its photo, with its scale."""
    numbers = read_numbers()
    photo = _photo(numbers["sample"])
    cells = np.array(numbers["map"])
    # The strongest cell alone would leave all others pale, as in the app.
    reach = float(np.quantile(np.abs(cells), 0.99))
    fine = np.kron(cells, np.ones((_SIDE // len(cells),) * 2))
    over = paint_map(
        photo, Map(fine.astype(np.float32), signed=True), palette, reach=reach, opacity=0.85
    )
    side, right = 210, WIDE - 210
    answer = numbers["answer"]
    parts = [
        _text(side / 2, 14, "the photo", "middle strong"),
        _image(0, 24, side, side, _uri(photo, "JPEG"), "smooth"),
        _text(right + side / 2, 14, f"the logit of “{answer}”", "middle strong"),
        _image(right, 24, side, side, _uri(over, "JPEG")),
        *_scale(right + 21, 248, 168, palette, ("against", "0", "for")),
    ]
    return _svg(
        280,
        f"A photo, and beside it a signed map over it: {palette.high_name} cells are "
        f"evidence for {answer}, {palette.low_name} cells evidence against it; the scale below is "
        "symmetric about 0.",
        parts,
    )


def draw_flows(palette: Palette) -> str:
    """Draw a logit's rise in two parts, past and through the gates."""
    numbers = read_numbers()
    rows = {name.replace("network", "all gates"): parts for name, parts in numbers["flows"].items()}
    left, top, high, bar = 104, 34, 36, 12
    low = min(0.0, *(value for parts in rows.values() for value in parts))
    most = max(numbers["rise"], *(value for parts in rows.values() for value in parts))
    x = _place(low, most, left, WIDE - 46)
    bottom = top + high * len(rows)
    past, through = palette.series[:2]
    parts = [
        _square(0, 4, past) + _text(16, 14, "past the gates"),
        _square(124, 4, through) + _text(140, 14, "through the gates"),
        f'<path d="M{x(0):.1f} {top - 6}V{bottom}" class="line"/>',
        f'<path d="M{x(numbers["rise"]):.1f} {top - 6}V{bottom}" class="line dots"/>',
        _text(x(numbers["rise"]), bottom + 16, f"the rise, {signed(numbers['rise'], 2)}", "middle"),
        _text(x(0), bottom + 16, "0", "middle"),
    ]
    for at, (name, values) in enumerate(rows.items()):
        y = top + at * high
        parts.append(_text(0, y + bar + 5, name.capitalize(), "strong" if at == 0 else ""))
        for place, (value, colour) in enumerate(zip(values, (past, through), strict=True)):
            start, end = sorted((x(0), x(value)))
            line = y + place * (bar + 1)
            parts.append(
                f'<rect x="{start:.1f}" y="{line}" width="{max(end - start, 1):.1f}" '
                f'height="{bar}" fill="{colour}"/>'
            )
            words = signed(value, 2)
            # Beside the line of the rise, not across it.
            crosses = end < x(numbers["rise"]) < end + 5 + 7 * len(words)
            parts.append(
                _text(
                    (x(numbers["rise"]) if crosses else end) + 5, line + 10.5, words, "small over"
                )
            )
    return _svg(
        bottom + 24,
        f"Bars of a logit's rise of {numbers['rise']:g}, for all gates and for those of each "
        "stage: what came past the gates and what came through them.",
        parts,
    )


def _svg(height: Number, alt: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDE} {height:g}" role="img" aria-label="{escape(alt)}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: Number, y: Number, words: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>'


def _line(path: str, *, tip: bool = True) -> str:
    end = ' marker-end="url(#tip)"' if tip else ""
    return f'<path d="{path}" class="line"{end}/>'


def _square(x: Number, y: Number, colour: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="11" height="11" fill="{colour}"/>'


def _image(x: Number, y: Number, width: Number, height: Number, uri: str, kind: str = "") -> str:
    return (
        f'<image class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'href="{uri}" preserveAspectRatio="none"/>'
    )


def _strip(x: Number, y: Number, shares: Sequence[float], palette: Palette) -> Iterator[str]:
    """Yield a column of cells, each in the colour of its share."""
    yield _image(x, y, 12, 12 * len(shares), _paint(np.array(shares)[:, None], palette))
    for at in range(len(shares)):
        yield f'<rect x="{x:g}" y="{y + 12 * at:g}" width="12" height="12" class="thin"/>'


def _stack(x: Number, y: Number, palette: Palette, *, gate: Number) -> Iterator[str]:
    """Yield a pile of maps; the first one is a channel's, times a gate."""
    side = 84
    for shift in (18, 12, 6):
        yield (
            f'<rect x="{x + shift:g}" y="{y - shift:g}" width="{side}" height="{side}" '
            'class="sheet"/>'
        )
    values = (np.array(read_numbers()["channel"]["map"]) * gate + 1) / 2
    yield _image(x, y, side, side, _paint(values, palette))
    yield f'<rect x="{x:g}" y="{y:g}" width="{side}" height="{side}" class="thin"/>'


def _scale(
    x: Number, y: Number, width: Number, palette: Palette, words: tuple[str, str, str]
) -> Iterator[str]:
    """Yield a bar of colours, with words at its ends and its middle."""
    yield _image(x, y, width, 9, _paint(np.linspace(0, 1, 129)[None], palette))
    for share, word, kind in zip((0, 0.5, 1), words, ("", "middle", "end"), strict=True):
        yield _text(x + share * width, y + 24, word, kind)


def _paint(shares: np.ndarray, palette: Palette) -> str:
    """Return shares of the scale as a picture of one pixel each."""
    places, colours = zip(*palette.diverging, strict=True)
    channels = [
        np.interp(shares, places, [int(colour[at : at + 2], 16) for colour in colours])
        for at in (1, 3, 5)
    ]
    return _uri(Image.fromarray(np.stack(channels, -1).round().astype(np.uint8)), "PNG")


def _uri(picture: Image.Image, kind: str) -> str:
    file = BytesIO()
    picture.save(file, kind, quality=88)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _photo(name: str) -> Image.Image:
    """Return a sample as the network sees it: a square of its middle."""
    path = next(sample.path for sample in list_samples() if sample.path.stem == name)
    with Image.open(path) as photo:
        return ImageOps.fit(photo.convert("RGB"), (_SIDE, _SIDE), Image.Resampling.BICUBIC)


def _place(low: Number, high: Number, left: Number, right: Number) -> Callable[[Number], float]:
    return lambda value: left + (value - low) / (high - low) * (right - left)
