"""Names that hold Markdown, on the pages that show them."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from se_viz.ui.words import plain
from tests.pages import chosen, clean, figure, noise, session

NAMES = ("__background__", "C++ *juvenile*", ":smile: face", "<b>x</b> ~~y~~", "![a](http://b.c/d.png)")


@pytest.fixture
def renamed(bundled: Path) -> Path:
    """Return the folder of the small network, whose classes and title hold Markdown and HTML."""
    card = bundled / "tiny.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"classes": NAMES, "title": NAMES[1]}))
    return card


def drawn(page: AppTest) -> str:
    """Return all that Streamlit draws as Markdown, in the main part of a page."""
    elements = [*page.markdown, *page.caption, *page.subheader, *page.info, *page.get("progress")]
    return "\n".join(str(getattr(one, "value", "")) + str(getattr(one.proto, "text", "")) for one in elements)


@pytest.mark.parametrize("name", ["explore.py", "surgery.py"])
def test_names_reach_pages_escaped(renamed: Path, name: str):
    """A class may be called anything; its name stands in bars, headings and captions."""
    page = clean(session(name, image=chosen(noise(), "![x](http://e.f/g.png).png")).run())
    words = drawn(page)
    assert any(plain(one) in words for one in NAMES)
    for one in NAMES:
        words = words.replace(plain(one), "")
    assert not [one for one in (*NAMES, "![x](") if one in words]


def test_figures_show_tags_as_they_are(renamed: Path):
    """Plotly draws <b> as bold, and links too."""
    page = clean(session("surgery.py", image=chosen(noise())).run())
    texts = [note["text"] for note in figure(page, "answers")["layout"]["annotations"]]
    assert "&lt;b&gt;x&lt;/b&gt; ~~y~~" in texts
    assert not [text for text in texts if "<b>x" in text]
