"""One engine in this process and one in another, for all tests of the folder."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from se_viz.engine import LocalEngine
from se_viz.experiments.analysis import analyse
from se_viz.experiments.counterfactuals import gates_of
from se_viz.networks import Network, checkpoints
from se_viz.networks.card import card_to_json
from se_viz.networks.lenders import Lender, write_lenders
from tests.engine.remote import RemoteEngine
from tests.support.photos import noise


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, saved: Path, session_network: Network) -> Path:
    """Return checkpoints of the small network, with the gates of two images that it lends."""
    folder = shutil.copytree(saved, tmp_path_factory.mktemp("engine") / "checkpoints")
    lenders = [
        Lender(f"noise {seed}", f"lender {seed}", gates_of(analyse(session_network, noise(seed))))
        for seed in (5, 6)
    ]
    digest = write_lenders(lenders, session_network.inspection.sites, folder / "tiny.lenders.npz")
    card = {**card_to_json(session_network.card), "lenders": digest}
    (folder / "tiny.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def at_home(folder: Path) -> LocalEngine:
    """Return an engine of this process that has loaded the network."""
    engine = LocalEngine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "FOLDER", folder)
        engine.view("tiny", "cpu")
    return engine


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch, folder: Path, at_home: LocalEngine) -> LocalEngine:
    """Return an engine of this process that has answered nothing yet; the network is loaded once
    for all of them.
    """
    monkeypatch.setattr(checkpoints, "FOLDER", folder)
    engine = LocalEngine()
    engine._residents = at_home._residents
    return engine


@pytest.fixture(scope="session")
def remote(folder: Path) -> Iterator[RemoteEngine]:
    """Return the engine of another process."""
    engine = RemoteEngine(folder)
    yield engine
    engine.close()
