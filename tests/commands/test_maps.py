"""`attribute` writes what the library computes: a map and a picture of each image and method."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from se_viz import attribute
from se_viz.__main__ import main
from se_viz.commands import maps
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import Network

pytestmark = pytest.mark.slow

CAT, COFFEE, *_ = (sample.path for sample in list_samples())


@pytest.fixture
def run(network_folder: Path) -> Callable[..., int]:
    """Run the command on the small network."""
    options = ["--checkpoints", str(network_folder), "--device", "cpu"]
    return lambda *words: main(["attribute", *map(str, words), *options])


def test_maps_are_those_of_the_library(run, network: Network, tmp_path):
    """Values, class, logit and error of completeness are what one call of the library gives."""
    out = tmp_path / "maps"
    words = ["--method", "integrated_gradients", "--method", "saliency", "--target", "bee"]
    assert run(CAT, COFFEE, *words, "--option", "n_steps=4", "--out", out) == 0
    table = pd.read_csv(out / "attributions.csv")
    assert table["image"].tolist() == [str(CAT)] * 2 + [str(COFFEE)] * 2
    assert table["method"].tolist() == ["integrated_gradients", "saliency"] * 2
    for row in table.to_dict("records"):
        inputs = network.preprocess(open_image(row["image"]))
        steps = {"n_steps": 4}
        options: dict[str, Any] = steps if row["method"] == "integrated_gradients" else {}
        expected = attribute(network, inputs, 1, row["method"], **options)
        with torch.no_grad():
            logit = network.model(inputs)[0, 1].item()
        with np.load(out / row["map"], allow_pickle=False) as arrays:
            np.testing.assert_array_equal(arrays["values"], expected.map.numpy())
            assert (arrays["class"].item(), arrays["index"].item()) == ("bee", 1)
            assert arrays["logit"].item() == pytest.approx(logit, abs=1e-5)
            assert arrays["method"].item() == row["method"]
            settings = json.loads(arrays["settings"].item())
            error = arrays["completeness_error"].item()
        assert row["logit"] == pytest.approx(logit, abs=1e-5)
        if options:
            assert settings["n_steps"] == 4
            assert settings["baseline"] == "mean"
            assert error == pytest.approx(expected.completeness_error)
            assert row["completeness_error"] == pytest.approx(expected.completeness_error)
        else:
            assert np.isnan(error)


def test_a_picture_is_the_map_over_the_photo(run, tmp_path):
    """Seven pixels for each of the 64 that the network sees: at least 448, and none is blurred."""
    assert run(CAT, "--method", "saliency", "--out", tmp_path / "maps") == 0
    picture = np.asarray(Image.open(tmp_path / "maps" / f"{CAT.stem}.saliency.png"))
    assert picture.shape == (448, 448, 3)
    cells = picture.reshape(64, 7, 64, 7, 3)
    assert (cells == cells[:, :1, :, :1]).all()
    # A map in colour over a grey photo.
    assert (picture.max(2).astype(int) - picture.min(2)).max() > 40


def test_without_a_class_each_image_is_explained_by_its_own(run, network, tmp_path):
    """The most probable one, as one forward pass of the image says."""
    assert run(CAT, COFFEE, "--method", "saliency", "--out", tmp_path) == 0
    table = pd.read_csv(tmp_path / "attributions.csv")
    with torch.no_grad():
        best = [
            int(network.model(network.preprocess(open_image(path))).argmax())
            for path in (CAT, COFFEE)
        ]
    assert table["index"].tolist() == best


def test_files_of_one_name_do_not_overwrite_each_other(run, tmp_path):
    """Cameras of two people number their photos alike."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    shutil.copy(CAT, tmp_path / "a" / "1.jpg")
    shutil.copy(COFFEE, tmp_path / "b" / "1.jpg")
    out = tmp_path / "maps"
    assert run(tmp_path / "a", tmp_path / "b", "--method", "saliency", "--out", out) == 0
    assert sorted(path.name for path in out.glob("*.npz")) == ["1-2.saliency.npz", "1.saliency.npz"]


def test_what_cannot_be_explained_is_told_and_the_rest_is_written(run, tmp_path, capsys):
    """As for gates: the exit code tells scripts."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    words = ["--method", "saliency", "lrp", "--out", tmp_path / "maps"]
    assert run(broken, CAT, "--method", "saliency", "--out", tmp_path / "maps") == 1
    assert len(pd.read_csv(tmp_path / "maps" / "attributions.csv")) == 1
    assert "broken.jpg" in capsys.readouterr().err
    assert run(CAT, *words) == 2
    assert "LRP" in capsys.readouterr().err


def test_ctrl_c_keeps_the_maps_that_are_done(run, tmp_path, monkeypatch, capsys):
    """The table has the rows of the files that are there."""
    explain = maps.explain
    calls = 0

    def press(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            signal.raise_signal(signal.SIGINT)
        return explain(*arguments, **options)

    monkeypatch.setattr(maps, "explain", press)
    out = tmp_path / "maps"
    words = ["--method", "saliency", "input_x_gradient", "--out", out]
    assert run(CAT, COFFEE, *words) == 130
    assert pd.read_csv(out / "attributions.csv")["image"].tolist() == [str(CAT)] * 2
    assert capsys.readouterr().err == "se_viz: Stopped after 2 of 4 maps; maps holds these.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--method", "sailency"], "sailency"),
        (["--baseline", "pink"], "pink"),
        (["--target", "whale"], "has no class 'whale'. Try: "),
        (["--target", "bee", "--against", "1"], "does not differ from itself"),
        (["--option", "n_step=4"], "integrated_gradients have no option 'n_step'. Choose one of: "),
        (["--option", "n_steps"], "'n_steps' is no option. Write it as n_steps=64."),
        (["--method", "saliency", "--stage", "3"], "--stage is for grad_cam"),
    ],
)
def test_what_counts_for_nothing_is_refused(run, tmp_path, capsys, words, sentence):
    """A slip of the pen must not give other maps than those that were meant."""
    assert run(CAT, *words, "--out", tmp_path / "maps") == 2
    assert sentence in capsys.readouterr().err
    assert not list((tmp_path / "maps").glob("*"))


def test_a_folder_that_cannot_be_made_is_told_first(run, tmp_path, capsys):
    """An hour of maps that nobody can write would be lost."""
    (tmp_path / "maps").write_text("a file")
    assert run(CAT, "--out", tmp_path / "maps") == 2
    assert "maps cannot be written: File exists" in capsys.readouterr().err
