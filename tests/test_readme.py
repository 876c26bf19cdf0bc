"""What the documents promise: their examples run, their links lead somewhere."""

import re
import shlex
import shutil

import pytest

from se_viz.commands.arguments import parse
from se_viz.images.reading import list_samples
from se_viz.networks import list_networks
from tests import ROOT

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("checkpoints/*.md")})


def test_library_examples_run_as_printed(tmp_path, monkeypatch, capsys):
    """A reader copies them; SE-ResNet-50 has 3 + 4 + 6 + 3 blocks and EfficientNet-B0 16, by their
    papers' tables.
    """
    shutil.copy(list_samples()[0].path, tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    for block in _blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    *blocks, answer, blocks_line, edited, compared, equal = capsys.readouterr().out.splitlines()
    assert len(blocks) == 16
    side = list_networks()[0].input_size
    assert f"({side}, {side})" in answer
    assert blocks_line == "16 blocks for 4 images"
    assert edited in list_networks()[0].classes
    assert compared == f"({side}, {side})"
    # Gates, logits and one map, on the machine that made them.
    assert equal == "[True, True, True]"


def test_examples_of_figures_run_as_printed(tmp_path, monkeypatch):
    """Each family of figures has one, and each leaves a page below a megabyte."""
    shutil.copy(list_samples()[0].path, tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, "figures.md", "exec"), names)
    pages = sorted(tmp_path.glob("*.html"))
    assert len(pages) == 7
    assert all(page.stat().st_size < 1_000_000 for page in pages)


def test_the_example_of_the_monitor_runs_as_printed(tmp_path, monkeypatch):
    """Of five steps it looks at every second one; a ResNet-18 has eight blocks."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "gate-monitor.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    exec(compile(block, "gate-monitor.md", "exec"), {})
    rows = (tmp_path / "gates.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["0"] * 8 + ["2"] * 8 + ["4"] * 8


def test_commands_are_spelled_as_the_command_line_takes_them():
    """Every `python -m se_viz` line of the README has to be accepted; argparse ends the process on
    a wrong one.
    """
    commands = re.findall(r"^python -m se_viz (.*)$", "\n".join(_blocks("sh")), re.MULTILINE)
    assert len(commands) >= 6
    for command in commands:
        assert parse(shlex.split(command, comments=True))


def test_credits_of_all_samples_stand_in_the_readme():
    """CC BY asks for the maker's name wherever an image is passed on; a credit reads `title, by
    maker (licence)`.
    """
    text = " ".join(README.split())
    for sample in list_samples():
        title, maker = sample.credit.rsplit(" (", 1)[0].split(", by ")
        assert f"*{title}* by {maker}" in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document):
    """A relative link is a promise that the file lies there, for readers and for whoever moves
    it.
    """
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
    missing = [
        target
        for target in targets
        if "://" not in target and not (document.parent / target).exists()
    ]
    assert missing == []


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
