"""The project as it is installed: what the wheel holds, and which versions go with it."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import se_viz
from se_viz.charts.palettes import DARK, LIGHT
from tests import ROOT
from tests.support.wheel import build_source, build_wheel

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Build the wheel and unpack it, which is all that installing a pure Python wheel does."""
    folder = tmp_path_factory.mktemp("wheel")
    with ZipFile(build_wheel(folder)) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def test_wheel_holds_the_package_and_nothing_beside_it(installed):
    """Top-level names of a wheel land in site-packages, where `tests` or `pages` would be in
    everybody's way.
    """
    names = {path.name for path in installed.iterdir()}
    assert names == {"se_viz", f"se_viz-{se_viz.__version__}.dist-info"}


def test_wheel_is_typed_and_carries_its_licence(installed):
    """PEP 561: without the marker type checkers ignore our types.

    Apache-2.0, section 4: the licence goes along.
    """
    assert (installed / "se_viz" / "py.typed").is_file()
    licence = next(installed.glob("*.dist-info/licenses/LICENSE"))
    assert licence.read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_wheel_carries_every_sample_with_its_credit(installed):
    """Some samples may only be passed on with their makers' names."""
    samples = installed / "se_viz" / "samples"
    rows = json.loads((samples / "samples.json").read_text(encoding="utf-8"))
    assert {row["name"] for row in rows} == {path.stem for path in samples.glob("*.jpg")}
    assert all(row["credit"] for row in rows)


def test_wheel_carries_what_the_browser_runs(installed):
    """The page that opens a gate is drawn by a script and a style sheet, which are no Python
    files.
    """
    files = {path.suffix for path in (installed / "se_viz" / "ui").rglob("*")}
    assert files >= {".js", ".css"}


def test_wheel_carries_the_bundled_weights(installed):
    """A card without its weights is a network that cannot be loaded."""
    bundled = {path.name for path in (ROOT / "checkpoints").glob("*.json")}
    assert bundled, "checkpoints/ holds no card"
    packaged = {path.name for path in (installed / "se_viz" / "checkpoints").iterdir()}
    assert packaged >= bundled | {name.replace(".json", ".safetensors") for name in bundled}


def test_wheel_carries_the_app_with_its_settings(installed):
    """`se_viz app` serves what lies here, and Streamlit reads the settings beside the script that
    it is given.
    """
    files = {path for place in ("pages/*.py", ".streamlit/*") for path in ROOT.glob(place)} | {
        ROOT / "app.py"
    }
    carried = {path for path in (installed / "se_viz" / "dashboard").rglob("*") if path.is_file()}
    assert {path.relative_to(installed / "se_viz" / "dashboard") for path in carried} == {
        path.relative_to(ROOT) for path in files
    }


def test_source_archive_makes_the_same_wheel(installed, tmp_path):
    """A release builds its wheel from the archive, where a file that was left out cannot be missed
    by a test.
    """
    with tarfile.open(build_source(tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    with ZipFile(build_wheel(tmp_path, tmp_path / f"se_viz-{se_viz.__version__}")) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/")}
    assert names == {
        path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()
    }


def test_installed_command_lists_the_bundled_networks(installed, tmp_path):
    """Outside a clone there is no checkpoints folder to fall back on: the package has to find its
    own.
    """
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "se_viz", "networks"]
    printed = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout
    for card in (ROOT / "checkpoints").glob("*.json"):
        assert card.stem in printed


@pytest.mark.parametrize(
    ("file", "ranges"),
    [
        ("requirements.txt", PROJECT["dependencies"]),
        ("requirements-test.txt", PROJECT["optional-dependencies"]["test"]),
    ],
)
def test_every_dependency_has_one_pin_within_its_range(file, ranges):
    """What is tested (the pins) has to be a case of what is promised (the ranges), name for
    name.
    """
    pins = _pins(file)
    promised = {row.name: row for row in map(Requirement, ranges)}
    assert pins.keys() == promised.keys()
    assert [name for name, row in promised.items() if pins[name] not in row.specifier] == []


def test_torchvision_is_the_release_made_for_torch():
    """Each torchvision 0.N is built against torch 2.(N - 15); any other pair fails when
    torchvision is imported.
    """
    pins = _pins("requirements.txt")
    rows = map(Requirement, PROJECT["dependencies"])
    lowest = {row.name: min(Version(part.version) for part in row.specifier) for row in rows}
    for versions in (pins, lowest):
        assert versions["torch"].major == 2
        assert versions["torchvision"].minor - versions["torch"].minor == 15


def test_requirements_name_no_address():
    """A requirement tied to one host cannot be installed from a mirror, nor offline."""
    for file in ("requirements.txt", "requirements-test.txt"):
        assert "://" not in (ROOT / file).read_text(encoding="utf-8")


def _pins(file: str) -> dict[str, Version]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    rows = [Requirement(line) for line in lines if line and not line.startswith(("#", "-r "))]
    exact = {row.name: [part for part in row.specifier if part.operator == "=="] for row in rows}
    assert all(len(parts) == 1 for parts in exact.values()), "every line is one exact version"
    return {name: Version(parts[0].version) for name, parts in exact.items()}


def test_one_version_stands_everywhere():
    """A citation or a package of another version sends its reader to other code."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    # The package's own is read from `se_viz/__init__.py`, so that a release changes two lines.
    assert PROJECT["dynamic"] == ["version"]
    assert cited["version"] == se_viz.__version__
    assert cited["license"] == PROJECT["license"]


def test_hooks_before_a_commit_run_the_tested_ruff():
    """Another release of the formatter would undo what `make lint` asks for, file by file."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][
        0
    ]["hooks"]
    pins = {f"ruff=={_pins('requirements-test.txt')['ruff']}"}
    assert {pin for hook in hooks for pin in hook["additional_dependencies"]} == pins


def test_workflows_run_every_python_from_the_lowest():
    """What `requires-python` promises is tried by the tests."""
    jobs = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))[
        "jobs"
    ]
    assert PROJECT["requires-python"] == f">={jobs['test']['strategy']['matrix']['python'][0]}"


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_stands_out_from_what_lies_behind_it(name: str):
    """By WCAG 2.2, 1.4.3: text at full strength, captions at 78 % of it, and the colour of what is
    selected; 3 while a page runs again and fades.
    """
    theme = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"]
    colours = {**theme, **theme[name]}
    text, brand = (_read_colour(colours[key]) for key in ("textColor", "primaryColor"))
    style = (ROOT / "se_viz/ui/frame/page.css").read_text(encoding="utf-8")
    (share,) = map(float, re.findall(r"currentColor (\d+)%", style))
    (faded,) = map(float, re.findall(r'data-stale="true"\] { opacity: ([\d.]+)', style))
    for key in ("backgroundColor", "secondaryBackgroundColor"):
        behind = _read_colour(colours[key])
        inks = (text, (share * text + (100 - share) * behind) / 100, brand)
        assert min(_contrast(ink, behind) for ink in inks) >= 4.5, key
        waiting = [faded * ink + (1 - faded) * behind for ink in inks]
        assert min(_contrast(ink, behind) for ink in waiting) >= 3, key


def _read_colour(code: str) -> np.ndarray:
    return np.array([int(code[at : at + 2], 16) for at in (1, 3, 5)]) / 255


def _contrast(one: np.ndarray, other: np.ndarray) -> float:
    linear = [
        np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        for colour in (one, other)
    ]
    low, high = sorted(float(colour @ [0.2126, 0.7152, 0.0722]) for colour in linear)
    return (high + 0.05) / (low + 0.05)


def test_the_theme_is_that_of_the_figures():
    """Streamlit's configuration cannot import the palette, so that its copies are compared here."""
    theme = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"]
    for name, palette in (("light", LIGHT), ("dark", DARK)):
        assert theme[name]["backgroundColor"] == palette.page
        assert theme[name]["textColor"] == palette.ink
