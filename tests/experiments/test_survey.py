"""Counterfactuals of many images, in the library and on the command line."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from se_viz import capture_gates
from se_viz.__main__ import main
from se_viz.errors import DataError, ImageError
from se_viz.experiments.survey import choose_lenders, see_image
from se_viz.images.reading import find_images, list_samples, open_image
from se_viz.networks import Network
from se_viz.networks.lenders import Lender
from tests.charts.test_export import unpack

pytestmark = pytest.mark.slow

CAT, COFFEE, ROCKET = (
    next(s.path for s in list_samples() if s.name == name)
    for name in ("chelsea", "coffee", "rocket")
)


@pytest.fixture
def run(network_folder: Path) -> Callable[..., int]:
    """Run the command on the small network; words come before its options."""
    return lambda *words: main(
        [
            "counterfactuals",
            *map(str, words),
            "--checkpoints",
            str(network_folder),
            "--device",
            "cpu",
        ]
    )


def test_an_image_never_lends_gates_to_itself():
    """Its own gates would hide a part of what is asked; a copy of the file is the same image."""
    gallery = [Lender(name, digest, {}) for name, digest in zip("abxc", "abac", strict=True)]
    assert [lender.name for lender in choose_lenders("a", gallery)] == ["b", "c"]
    assert {lender.digest for lender in choose_lenders("b", gallery)} == {"a", "c"}
    assert [lender.digest for lender in choose_lenders("c", gallery, 1)] == ["a"]
    assert {lender.digest for lender in choose_lenders("new", gallery)} == {"a", "b", "c"}
    with pytest.raises(DataError, match="no other image to take gates from"):
        choose_lenders("a", [gallery[0], gallery[2]])


def test_folders_give_their_images_each_once(tmp_path: Path):
    """Those of subfolders too, in order of name; other files are no images."""
    (tmp_path / "inner").mkdir()
    for name in ("b.PNG", "a.jpg", "notes.txt", "inner/c.webp"):
        (tmp_path / name).touch()
    paths = find_images([tmp_path / "b.PNG", tmp_path])
    assert [str(path.relative_to(tmp_path)) for path in paths] == ["b.PNG", "a.jpg", "inner/c.webp"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=r"empty holds no image \(jpg, "):
        find_images([tmp_path / "empty"])


def test_seen_gates_are_the_captured_ones(network: Network):
    """Gates that an image lends are those the network opens for it."""
    photo = see_image(network, CAT)
    with torch.inference_mode(), capture_gates(network.model) as records:
        network.model(network.preprocess(open_image(CAT)))
    assert photo.gates.keys() == {record.name for record in records}
    for record in records:
        assert torch.equal(photo.gates[record.name], record.gate[0])


def test_a_folder_gives_a_table_a_summary_and_a_plot(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Two images, four stages, two kinds asked once, one shuffled twice, three lenders: 2 x 4 x (2
    + 2 + 3) rows.
    """
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in (CAT, COFFEE):
        shutil.copy(path, folder)
    out = tmp_path / "table.csv"
    plot = tmp_path / "plot.html"
    kinds = ("--kinds", "mean", "shuffle", "ones", "other")
    words = (
        "--scope",
        "stage",
        *kinds,
        "--repeats",
        2,
        "--lenders",
        3,
        "--out",
        out,
        "--plot",
        plot,
    )
    assert run(folder, *words) == 0
    table = pd.read_csv(out)
    assert len(table) == 56
    assert table["image"].unique().tolist() == [str(folder / path.name) for path in (CAT, COFFEE)]
    assert table.groupby("kind").size().to_dict() == {
        "mean": 8,
        "ones": 8,
        "other": 24,
        "shuffle": 16,
    }
    printed = capsys.readouterr().out
    mean = table[(table["kind"] == "mean") & (table["place"] == "Stage 3")]["change"]
    assert re.search(rf"mean +Stage 3 +{np.median(np.asarray(mean)):.4f} ", printed)
    assert table[table["kind"] == "other"].groupby("image")["lender"].nunique().tolist() == [3, 3]
    assert "cannot be told for 2; each got the gates of 3 other images." in printed
    page = plot.read_text()
    assert "replaced gates, from the first block to the last" in unpack(page, "data")
    assert "<script src=" not in page


def test_one_image_is_compared_with_the_samples(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    """Alone it has nobody to borrow from; the verdict is a whole sentence then, and says that five
    are few.
    """
    assert run(ROCKET, "--scope", "network", "--kinds", "mean", "other") == 0
    printed = capsys.readouterr().out
    assert (
        "Whether input-dependent gating mattered cannot be told from 5 other images: of their gates"
        in printed
    )
    assert "11 lenders that agree are needed; add 6 more." in printed
    assert "With the lenders' mean gates, one fixed choice, the label" in printed


def test_without_an_image_the_samples_are_asked(run: Callable[..., int], tmp_path: Path):
    """The gallery that comes with se_viz: each image gets the gates of the five others."""
    out = tmp_path / "table.json"
    assert run("--scope", "network", "--kinds", "other", "--out", out) == 0
    images = [str(sample.path) for sample in list_samples()]
    rows = json.loads(out.read_text())
    assert [row["image"] for row in rows] == [image for image in images for _ in range(5)]
    assert {row["lender"] for row in rows} == set(images)
    assert all(row["lender"] != row["image"] for row in rows)


def test_a_broken_image_is_left_out(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The rest of a folder still counts; the exit code tells scripts."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(CAT.read_bytes()[:1000])
    assert run(CAT, broken, COFFEE, "--scope", "network", "--kinds", "ones") == 1
    assert f"se_viz: {broken}: The image file is damaged" in capsys.readouterr().err
    assert run(broken) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--kinds", "median"),
            "There is no 'median' here. Choose one of: mean, other, shuffle, ones.",
        ),
        (("--scope", "layer"), "There is no 'layer' here. Choose one of: network, stage, block."),
        (
            ("--plot", "plot.gif"),
            "plot.gif ends in none of .svg, .pdf, .png, .html. Name the file with one of these.",
        ),
        (("--out", "table.xlsx"), "table.xlsx ends in none of .csv"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_computed(
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    sentence: str,
):
    """One sentence that says what there is, and the exit code of a failure."""
    assert run(CAT, *words) == 2
    assert capsys.readouterr().err.startswith(f"se_viz: {sentence}")
