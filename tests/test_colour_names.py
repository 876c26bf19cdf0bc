"""Sentences name the colours of the palette that draws them, whatever these are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

NAMES = re.compile(r"\b(orange|blue|gr[ea]y|red|green|yellow|brown|purple)\b", re.IGNORECASE)
SOURCES = [
    ROOT / "app.py",
    *ROOT.glob("pages/*.py"),
    *(ROOT / "se_viz" / "ui").rglob("*"),
    *(ROOT / "se_viz").rglob("charts/*"),
]


def sentences(path: Path) -> Iterator[str]:
    """Yield every text with a space in a source file, but for docstrings and comments."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".js":
        code = re.sub(r"^\s*//.*$", "", source, flags=re.MULTILINE)
        yield from (text for text in re.findall(r"\"[^\"\n]*\"|`[^`]*`", code) if " " in text)
        return
    tree = ast.parse(source)
    notes = {
        id(line.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        for line in node.body
        if isinstance(line, ast.Expr)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in notes
            and " " in node.value
        ):
            yield node.value


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.suffix in (".py", ".js")], ids=lambda path: path.name
)
def test_no_sentence_holds_the_name_of_a_colour(path: Path):
    """With another palette such a sentence would point at a colour that is not on the page."""
    assert [text for text in sentences(path) if NAMES.search(text)] == []


def test_sentences_are_seen(tmp_path: Path):
    """The rule above would hold of any source that was not read."""
    python = tmp_path / "page.py"
    script = tmp_path / "part.js"
    python.write_text(
        '"""A red note."""\nWORDS = f"look for {1} blue bars"\nCOLOUR = "blue"\n', encoding="utf-8"
    )
    script.write_text(
        '// red here\nconst note = "Orange is above 0", colour = "red";\n', encoding="utf-8"
    )
    texts = [text for path in (python, script) for text in sentences(path) if NAMES.search(text)]
    assert texts == [" blue bars", '"Orange is above 0"']
