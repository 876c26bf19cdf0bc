"""The wheel in an empty environment, started where nothing of the working tree lies."""

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
from playwright.sync_api import Browser, expect

from benchmarks.server import run_app
from se_viz import list_networks, load_network, open_image
from se_viz.charts.palettes import LIGHT
from se_viz.images.reading import list_samples
from tests.support.containers import words_of
from tests.support.wheel import build_wheel

from .steps import BLOCKS, gate_map, open_visit

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    python: Path
    """Its interpreter."""
    command: Path
    """The command that the wheel installed."""
    packages: Path
    """Where its packages lie."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install the wheel into a new environment, whose other packages are those of the one that
    runs the tests.
    """
    folder = tmp_path_factory.mktemp("wheel")
    wheel = build_wheel(folder)
    venv.create(folder / "environment", symlinks=os.name != "nt")
    names = {"base": str(folder / "environment"), "platbase": str(folder / "environment")}
    paths = {name: Path(sysconfig.get_path(name, "venv", names)) for name in ("scripts", "purelib")}
    python = paths["scripts"] / Path(sys.executable).name
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "--disable-pip-version-check",
        "--no-input",
    ]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True)
    # PyTorch anew would take minutes. Names in here come after the environment's own.
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (paths["purelib"] / "lent.pth").write_text("\n".join(sorted(lent)), encoding="utf-8")
    return Environment(python, paths["scripts"] / "se_viz", paths["purelib"])


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with settings of another app, as a user of Streamlit may start se_viz in."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = tmp_path / ".streamlit" / "config.toml"
    settings.parent.mkdir()
    settings.write_text('[theme.light]\ntextColor = "#00ff00"\n', encoding="utf-8")
    return tmp_path


def test_the_wheel_brings_the_app(environment: Environment, elsewhere: Path, browser: Browser):
    """Pages, settings, samples and weights all come from the package: nothing of a checkout is
    there to help.
    """
    ask = [str(environment.python), "-c", "import se_viz; print(se_viz.__file__)"]
    package = subprocess.run(
        ask, cwd=elsewhere, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert Path(package).is_relative_to(environment.packages)

    command = (str(environment.command), "app")
    with (
        run_app(command=command, folder=elsewhere) as server,
        open_visit(browser, server.url) as visit,
    ):
        page = visit.page
        expect(page).to_have_title("se_viz")
        # The settings beside the pages, not those of the folder.
        expect(page.get_by_test_id("stApp")).to_have_css("color", _css(LIGHT.ink))
        page.get_by_test_id("stMain").get_by_role("button", name="Cat", exact=True).click()
        # What comes later on the page, such as the attribution, is for the tests of that page.
        expect(gate_map(page).get_by_role("option")).to_have_count(len(BLOCKS))
        expect(page.get_by_test_id("stProgress").first).to_contain_text(f"{_answer('chelsea')} · ")
        assert _health_check(server.url).returncode == 0
    assert _health_check(server.url).returncode != 0


def _answer(sample: str) -> str:
    """Return the most probable class of a sample, by the library of the working tree."""
    network = load_network(list_networks()[0].name, "cpu")
    (path,) = (entry.path for entry in list_samples() if entry.path.stem == sample)
    with torch.inference_mode():
        return network.classes[int(network.model(network.preprocess(open_image(path))).argmax())]


def _health_check(url: str) -> subprocess.CompletedProcess:
    """Run what the container runs to learn whether its app answers, at the port of this one."""
    python, *words = words_of("HEALTHCHECK")
    assert python == "python"
    words = [
        word.replace("'localhost', 8501", f"'127.0.0.1', {urlsplit(url).port}") for word in words
    ]
    return subprocess.run([sys.executable, *words], capture_output=True)


def _css(colour: str) -> str:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return f"rgb({red}, {green}, {blue})"
