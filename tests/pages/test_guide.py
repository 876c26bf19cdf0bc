"""The page "How to read it", run without a browser."""

import pytest
from streamlit.testing.v1 import AppTest

from tests import ROOT

PAGE = ROOT / "pages" / "guide.py"


@pytest.fixture(scope="module")
def page() -> AppTest:
    """Return the page as a session sees it that has chosen nothing."""
    return AppTest.from_file(str(PAGE), default_timeout=300).run()


def test_page_renders_with_nothing_chosen(page):
    """It explains the method, which needs neither an image nor a network."""
    assert not page.exception
    assert [title.value for title in page.title] == ["How to read it"]


def test_squeeze_excitation_and_scale_stand_in_the_papers_order(page):
    """Equations 2, 3 and 4 of arXiv 1709.01507 define the letters z, s and x~, in this order."""
    left_sides = [equation.value.strip("$ \n").split("=")[0] for equation in page.latex]
    assert len(left_sides) == 3
    for side, letter in zip(left_sides, ("z_c", "s", r"\tilde{x}_c"), strict=True):
        assert side.split()[-1] == letter


def test_page_says_what_the_pictures_cannot_tell(page):
    """A reader who takes gates for importance has been misled by a picture: the limits belong on
    the same page.
    """
    assert "What no picture shows" in [heading.value for heading in page.subheader]
    assert any("A gate is not importance" in paragraph.value for paragraph in page.markdown)
