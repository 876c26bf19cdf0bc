"""The notebook that comes with the documentation, run as its reader runs it."""

import json
from pathlib import Path

import pytest

from tests import ROOT

pytestmark = pytest.mark.slow

PATH = ROOT / "docs" / "notebook.ipynb"
CELLS = json.loads(PATH.read_text(encoding="utf-8"))["cells"]


def test_it_is_kept_without_outputs():
    """Pictures in it would grow the repository with every run, and show an old version's."""
    codes = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert len(codes) > 5
    assert [cell["outputs"] for cell in codes] == [[]] * len(codes)
    assert {cell["execution_count"] for cell in codes} == {None}


def test_every_cell_runs_and_shows_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In a kernel of its own, outside of the clone."""
    # A clone need not be installed.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytest.importorskip("ipykernel")
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")

    notebook = nbformat.read(PATH, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    results = [
        output.data
        for cell in codes
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]
    assert len(results) == len(codes)
    assert all("text/html" in data for data in results)
    shown, records, table, attribution, trace, blocks, own = (data["text/html"] for data in results)
    # A photo and its map; a map; what came past the gates and through them.
    assert [html.count("<img ") for html in (shown, attribution, trace, own)] == [2, 1, 2, 2]
    assert "SE_5_3" in records
    assert table.count("<tr") == 6
    # Eight blocks of a ResNet-18, at steps 0, 5 and 10.
    assert blocks.count("SE_") == 8
    assert "bright" in own
    outputs = [output for cell in codes for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
