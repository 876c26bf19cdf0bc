"""The pictures of *How to read it*: drawn in the page's colours, of numbers that the bundled
network still gives.
"""

import base64
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageColor

from se_viz import load_network
from se_viz.charts import DARK, LIGHT, Palette
from se_viz.ui.guide.pictures import WIDE, read_numbers
from se_viz.ui.guide.words import PASSAGES
from tests import ROOT

PICTURES = {passage.anchor: passage.picture for passage in PASSAGES if passage.picture}
SVG = "{http://www.w3.org/2000/svg}"
BLOCKS = [
    f"SE_{stage}_{unit}"
    for stage, units in ((2, 3), (3, 4), (4, 6), (5, 3))
    for unit in range(1, units + 1)
]
"""Every block of an SE-ResNet-50 by stage and position (arXiv 1709.01507, Fig. 5)."""
ROUNDING = 0.016
"""Half a step of two decimals, and one step for another machine's sums."""


@pytest.fixture(scope="module")
def numbers() -> dict[str, Any]:
    """Return what the script computes now."""
    path = ROOT / "docs" / "guide_numbers.py"
    spec = importlib.util.spec_from_file_location("guide_numbers", path)
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return json.loads(json.dumps(script.make_numbers()))


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))


def images(svg: str) -> Iterator[np.ndarray]:
    """Yield the colours of each picture that is drawn pixel by pixel."""
    for image in parse(svg).iter(f"{SVG}image"):
        data = base64.b64decode(image.attrib["href"].partition("base64,")[2])
        yield np.asarray(Image.open(BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_says_what_it_shows_and_fits_its_frame(name: str, palette: Palette):
    """A reader who does not see it is told; a word beyond the frame is cut on a phone."""
    root = parse(PICTURES[name](palette))
    assert root.attrib["role"] == "img"
    assert len(root.attrib["aria-label"]) > 60
    _, _, width, height = (float(part) for part in root.attrib["viewBox"].split())
    assert width == WIDE
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.attrib["x"]) <= width
        assert 0 <= float(text.attrib["y"]) <= height


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_follow_the_palette(name: str):
    """A light map on a dark page is a lamp."""
    assert PICTURES[name](LIGHT) != PICTURES[name](DARK)


def test_the_gate_map_has_a_row_for_each_block_and_the_scales_colours():
    """Of 0 and 1 the colours are the ends of the scale, as on *Explore*."""
    assert list(read_numbers()["gates"]) == BLOCKS
    gates = np.array([*read_numbers()["gates"].values()])
    *stages, scale = images(PICTURES["gate-map"](LIGHT))
    rows = np.concatenate(stages)
    assert rows.shape == (*gates.shape, 3)
    ends = [ImageColor.getrgb(LIGHT.diverging[end][1]) for end in (0, -1)]
    assert [tuple(scale[0, 0]), tuple(scale[0, -1])] == ends
    assert {tuple(colour) for colour in rows[gates == 1]} == {ends[1]}


def test_a_channel_after_its_gate_is_paler():
    """Each value times one factor below 1, on the same scale."""
    before, after, _ = images(PICTURES["opened-block"](LIGHT))
    middle = np.array(ImageColor.getrgb(LIGHT.diverging[2][1]))
    distances = [np.abs(picture.astype(int) - middle).sum() for picture in (before, after)]
    assert distances[1] < distances[0]


def test_bars_are_as_long_as_their_numbers():
    """Past and through the gates, row by row."""
    parts = np.array([*read_numbers()["flows"].values()]).flatten()
    bars = [
        float(bar.attrib["width"])
        for bar in parse(PICTURES["through-the-gates"](LIGHT)).iter(f"{SVG}rect")
        if bar.attrib["height"] == "12"
    ]
    longest = np.argmax(np.abs(parts))
    shares = np.abs(parts) / abs(parts[longest])
    # A bar has at least one pixel.
    expected = np.maximum(shares * bars[longest], 1)
    assert bars == pytest.approx(expected, abs=0.06)


def test_parts_of_the_rise_add_up_to_it():
    """Up to the error that *Through the gates* aims at: 1 % of all that moves."""
    numbers = read_numbers()
    for past, through in numbers["flows"].values():
        assert past + through == pytest.approx(numbers["rise"], abs=0.01 * (past + 2) + 0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "read",
    [
        lambda numbers: list(numbers["gates"].values()),
        lambda numbers: numbers["channel"]["map"],
        lambda numbers: numbers["channel"]["gate"],
        lambda numbers: numbers["map"],
        lambda numbers: list(numbers["flows"].values()),
    ],
    ids=["gates", "channel", "its gate", "map", "flows"],
)
def test_numbers_are_still_those_of_the_network(
    numbers: dict[str, Any], read: Callable[[Mapping[str, Any]], Any]
):
    """A picture of another network than the bundled one would teach what nobody sees."""
    now, then = (np.array(read(values)) for values in (numbers, read_numbers()))
    assert now == pytest.approx(then, abs=ROUNDING)


@pytest.mark.slow
def test_names_are_still_those_of_the_network(numbers: dict[str, Any]):
    """The title, the answer, and the channel that is chosen."""
    now, then = (
        {key: values[key] for key in ("sample", "network", "answer")}
        | {key: values["channel"][key] for key in ("block", "number")}
        for values in (numbers, read_numbers())
    )
    assert now == then
    assert then["network"] == load_network("se_resnet50_half_imagenette").card.title
