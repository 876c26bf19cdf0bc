"""Pages of decisions: each is found from the map and from its module, and says what it costs."""

import re
from pathlib import Path

import pytest

from tests import ROOT

PAGES = sorted((ROOT / "docs" / "decisions").glob("*.md"))
FOLDERS = [ROOT, *(ROOT / "se_viz" / part for part in (".", "attribution", "gates", "networks"))]
WHY = re.compile(r"^Why: (docs/decisions/\S+)$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_decision_has_context_decision_and_cost(page: Path):
    """A decision without its cost reads like an advertisement, and a long one is not read."""
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == ["Context", "Decision", "Cost"]
    assert text.startswith(f"# {page.name[:3]}. ")
    assert len(text.splitlines()) <= 20


def test_numbers_run_without_a_gap():
    """A number is a page's name in talk: two of one number would be mixed up."""
    assert [page.name[:3] for page in PAGES] == [
        f"{number:03}" for number in range(1, len(PAGES) + 1)
    ]


def test_the_map_leads_to_every_decision():
    """A page that nothing leads to is not found."""
    links = re.findall(
        r"\(decisions/([^)]+)\)", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    )
    assert sorted(links) == [page.name for page in PAGES]


def test_modules_name_decisions_that_exist():
    """Whoever opens a module is one step from its reason."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "se_viz").rglob("*.py")]
    names = {name for source in sources for name in WHY.findall(source)}
    assert names == {f"docs/decisions/{page.name}" for page in PAGES}


@pytest.mark.parametrize(
    "page", [ROOT / "docs" / "architecture.md", *PAGES], ids=lambda page: page.stem
)
def test_files_that_are_named_exist(page: Path):
    """A page that names a module which has moved sends its reader nowhere."""
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`([\w/.-]+\.(?:py|js|csv|toml))`", text):
        assert any((folder / name).exists() for folder in FOLDERS), name
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / link).exists(), link
