"""A first visit to any page comes through `app.py`; `tests/browser/test_first_visit.py` sees that
it does.
"""

import ast
from pathlib import Path

import pytest

from tests import ROOT

PAGES = ROOT / "pages"


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.py")), ids=lambda page: page.stem)
def test_every_page_begins_with_the_way_in(page: Path):
    """A page without it is drawn alone, without image and network to choose, for whoever opens it
    first.
    """
    statements = ast.parse(page.read_text(encoding="utf-8")).body
    first = next(one for one in statements[1:] if not isinstance(one, (ast.Import, ast.ImportFrom)))
    # Some put what is chosen beside the heading.
    assert ast.unparse(first).removeprefix("beside = ") == "enter(__file__)"
