"""The words of *How to read it*: passages that links reach, and the network's own ratio."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from se_viz.gates.records import GateSite
from se_viz.ui.guide.view import describe_ratio
from se_viz.ui.guide.words import PASSAGES
from se_viz.ui.navigation import GUIDED
from tests import ROOT

FILES = [*(ROOT / "pages").glob("*.py"), *(ROOT / "se_viz" / "ui").rglob("*.py")]


def site(channels: int, hidden: int | None) -> GateSite:
    """Return a block of this width."""
    return GateSite("se", 2, channels, "Sigmoid", hidden=hidden)


@pytest.mark.parametrize(
    ("sites", "words"),
    [
        ([site(64, 4), site(128, 8)], "; in Net, $r = 16$"),
        ([site(64, 8)], "; in Net, $r = 8$"),
        ([site(16, 4), site(96, 4)], "; in Net, $r$ goes from $4$ to $24$"),
        # MobileNetV3 rounds its hidden units to multiples of 8.
        ([site(72, 24), site(120, 32)], "; in Net, $r$ goes from $3$ to $3.75$"),
        ([site(64, None), site(64, 16)], "; in Net, $r = 4$"),
        ([site(64, None)], "; the blocks of Net have no such layers"),
    ],
)
def test_the_ratio_is_that_of_the_networks_blocks(sites: list[GateSite], words: str):
    """C over the hidden units of each block; 16 is the paper's."""
    assert describe_ratio(sites, "Net") == words


def linked(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "link_guide":
            (argument,) = node.args
            assert isinstance(argument, ast.Constant)
            yield str(argument.value)


def test_links_lead_to_passages_and_every_picture_is_linked():
    """A link to a passage that is gone leads to the page's head."""
    anchors = [passage.anchor for passage in PASSAGES]
    assert len({*anchors}) == len(anchors)
    links = {anchor for file in FILES for anchor in linked(file)}
    assert links == {*GUIDED}
    assert links <= {*anchors}
    assert {passage.anchor for passage in PASSAGES if passage.picture} <= links


def test_sixteen_is_the_papers():
    """Another network has another ratio."""
    sentences = [
        sentence
        for passage in PASSAGES
        for sentence in re.split(r"(?<=[.:;]) ", passage.words)
        if re.search(r"\b16\b", sentence)
    ]
    assert len(sentences) == 1
    assert sentences[0].startswith("in the paper")
