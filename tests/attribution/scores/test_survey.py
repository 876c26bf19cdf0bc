"""Scores of many images, in the library and on the command line."""

import copy
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from se_viz import attribute, open_image
from se_viz.__main__ import main
from se_viz.attribution.catalogue.pixels import COMMON, METHODS
from se_viz.attribution.question.targets import Target
from se_viz.attribution.scores.curves import Exam
from se_viz.attribution.scores.scores import MEASURES, make_yardstick, score_map
from se_viz.attribution.scores.sensitivity import measure_sensitivity
from se_viz.attribution.scores.survey import (
    Survey,
    average_curves,
    count_better,
    summarise_scores,
    survey_scores,
)
from se_viz.images.reading import list_samples
from se_viz.networks import Network, NetworkCard, load_network
from se_viz.networks.weights import save_checkpoint
from tests.charts.test_export import unpack

pytestmark = pytest.mark.slow

CAT, COFFEE = (
    next(s.path for s in list_samples() if s.name == name) for name in ("chelsea", "coffee")
)
CONTROLS = ["Random pixels", "Random patches", "Centred blob"]


@pytest.fixture
def run(quick_folder: Path) -> Callable[..., int]:
    """Run the command on the small network; words come before its options."""
    return lambda *words: main(
        ["score", *map(str, words), "--checkpoints", str(quick_folder), "--device", "cpu"]
    )


def test_the_written_table_is_the_librarys(run, quick_folder: Path, tmp_path: Path, capsys):
    """Two images, two methods and three controls; every number equals the library's for the most
    probable class.
    """
    folder = tmp_path / "photos"
    out = tmp_path / "scores.csv"
    plot = tmp_path / "curves.html"
    folder.mkdir()
    for path in (CAT, COFFEE):
        shutil.copy(path, folder)
    assert (
        run(folder, "--methods", "saliency", "input_x_gradient", "--out", out, "--plot", plot) == 0
    )
    table = pd.read_csv(out)
    titles = ["Saliency", "Input x Gradient"]
    assert table["map"].tolist() == 2 * [*titles, *CONTROLS]
    assert table["image"].unique().tolist() == [str(folder / path.name) for path in (CAT, COFFEE)]
    rows = table[(table["image"] == str(folder / COFFEE.name))].set_index("map")
    check_saliency(rows, load_network("tiny", "cpu", folder=quick_folder))
    check_printed(capsys.readouterr().out, table, titles)
    assert "<script src=" not in plot.read_text()
    assert "pixels changed, in the order of the map" in unpack(plot.read_text(), "data")


def check_saliency(rows: pd.DataFrame, network: Network) -> None:
    """Compare the rows of one image with what the library's functions give for it."""
    inputs = network.preprocess(open_image(COFFEE))
    with torch.no_grad():
        best = int(network.model(inputs).argmax())
    exam = Exam(Target(best))
    yardstick = make_yardstick(network, inputs, exam)
    saliency = attribute(network, inputs, best, "saliency")
    expected = score_map(network, inputs, saliency.map, yardstick.falls)
    assert rows.loc["Saliency", "class"] == network.classes[best]
    assert rows.loc["Saliency", list(MEASURES)].tolist() == pytest.approx(
        [expected.read(measure) for measure in MEASURES]
    )
    assert rows.loc["Saliency", "sensitivity"] == pytest.approx(
        measure_sensitivity(network, inputs, saliency)
    )
    assert rows.loc[CONTROLS, "sensitivity"].tolist() == [0, 0, 0]
    pixels = [score.read("insertion") for score in yardstick.controls["pixels"]]
    assert rows.loc["Random pixels", "insertion"] == pytest.approx(np.mean(pixels))
    assert rows.loc["Random pixels", "insertion_std"] == pytest.approx(np.std(pixels, ddof=1))


def check_printed(printed: str, table: pd.DataFrame, titles: list[str]) -> None:
    """Compare the printed summary with means of the table."""
    gaps = table[table["map"] == "Saliency"]["gap"]
    assert re.search(rf"Saliency +2 +{gaps.mean():.3f} ± {gaps.std():.3f} ", printed)
    lines = printed.splitlines()[1:6]
    # Rows in the order of the mean gap; what knows nothing of the network is marked.
    means = {name: table.loc[table["map"] == name, "gap"].mean() for name in (*titles, *CONTROLS)}
    order = sorted(means, key=lambda name: -means[name])
    assert [line.split(" 2 ")[0].strip() for line in lines] == [
        f"{name} *" if name in CONTROLS else name for name in order
    ]
    assert "over 2 images" in printed
    better = count_better(table)
    assert all(
        line.split()[-1] == f"{better[name]}"
        for name, line in zip(order, lines, strict=True)
        if name in better
    )


def test_the_summary_is_over_images():
    """By hand: of 0.1, 0.3 and 0.5 the mean is 0.3 and the sample deviation 0.2; one image has
    none.
    """
    numbers = {key: [0.1, 0.3, 0.5, 0.7] for key in (*MEASURES, "sensitivity")}
    table = pd.DataFrame({"map": ["A", "A", "A", "B"], **numbers})
    summary = summarise_scores(table).set_index("map")
    assert summary.loc["A", ["deletion", "deletion_std", "images"]].tolist() == pytest.approx(
        [0.3, 0.2, 3]
    )
    assert summary.loc["A", ["sensitivity", "sensitivity_std"]].tolist() == pytest.approx(
        [0.3, 0.2]
    )
    assert summary.loc["B", ["deletion", "deletion_std", "images"]].tolist() == pytest.approx(
        [0.7, 0.0, 1]
    )


def test_a_map_counts_as_better_where_it_passes_what_controls_differ_by():
    """By the table of t, 2.920 at two degrees of freedom: patches of 0.1 +- 0.05 set 0.269; the
    blob its own gap.
    """
    rows = [
        {"image": image, "map": name, "draws": draws, "gap": gap, "gap_std": std}
        for image, own, blob in (("a", 0.28, 0.2), ("b", 0.26, 0.2), ("c", 0.28, 0.3))
        for name, draws, gap, std in (
            ("A", 0, own, 0.0),
            ("Patches", 3, 0.1, 0.05),
            ("Blob", 1, blob, 0.0),
        )
    ]
    assert count_better(pd.DataFrame(rows)) == {"A": 1}


def test_mean_curves_have_their_standard_error_to_either_side():
    """Of 0.2 and 0.4 at the same step: 0.3, and 0.1414 / sqrt(2) below and above."""
    parts = {"map": "A", "control": False, "curve": "deletion", "step": [0, 1], "share": [0.0, 1.0]}
    tables = [
        pd.DataFrame({**parts, "value": [0.2, 0.0]}),
        pd.DataFrame({**parts, "value": [0.4, 0.0]}),
    ]
    first = average_curves(tables).iloc[0]
    spread = 0.1
    assert [first["value"], first["low"], first["high"]] == pytest.approx(
        [0.3, 0.3 - spread, 0.3 + spread]
    )


def test_a_named_class_is_explained_against_another(run, tmp_path: Path):
    """Names in any case, or numbers; curves are then in logits, which have no fixed range."""
    out = tmp_path / "scores.json"
    assert run(CAT, "--methods", "saliency", "--target", "DOG", "--against", "1", "--out", out) == 0
    assert {row["class"] for row in json.loads(out.read_text())} == {"dog"}


def test_without_methods_the_usual_ones_are_scored(shallow: Network):
    """Those that the page offers where there is room for few."""
    survey = survey_scores(shallow, open_image(CAT), Survey())
    assert survey.scores["map"].tolist()[: len(COMMON)] == [
        METHODS[key].title for key in COMMON if METHODS[key].title not in survey.problems
    ]


def test_a_map_without_an_order_is_left_out_with_its_reason(shallow: Network):
    """The other methods of the image still count."""
    with torch.no_grad():
        shallow.model.get_parameter("fc.weight").zero_()
    survey = survey_scores(shallow, open_image(CAT), Survey(("saliency",)))
    assert survey.scores["map"].tolist() == CONTROLS
    assert survey.problems["Saliency"].startswith("This map is 0 everywhere")


def test_a_broken_image_is_left_out(run, tmp_path: Path, capsys):
    """The rest of a folder still counts; the exit code tells scripts."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(CAT.read_bytes()[:1000])
    assert run(CAT, broken, "--methods", "saliency") == 1
    assert f"se_viz: {broken}: The image file is damaged" in capsys.readouterr().err
    assert run(broken, "--methods", "saliency") == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--methods", "lrpp"), "There is no method 'lrpp'. Choose one of: "),
        (("--methods", "lrp"), "LRP (Bach et al., PLOS ONE 10, 2015) is not run here: "),
        (("--target", "dogs"), "A tiny SE-ResNet-50 has no class 'dogs'. Try: dog."),
        (
            ("--target", "zebra"),
            "A tiny SE-ResNet-50 has no class 'zebra'. Try: a number from 0 to 4.",
        ),
        (("--target", "9"), "A tiny SE-ResNet-50 has no class '9'. Try: a number from 0 to 4."),
        (
            ("--target", "3", "--against", "3"),
            "Class 3 does not differ from itself. Choose another class to compare",
        ),
        (
            ("--baseline", "white"),
            "There is no baseline 'white'. Choose one of: mean, black, blur, noise.",
        ),
        (
            ("--plot", "plot.gif"),
            "plot.gif ends in none of .svg, .pdf, .png, .html. Name the file with one of these.",
        ),
        (("--out", "table.xlsx"), "table.xlsx ends in none of .csv"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_computed(
    run, capsys, words: tuple[str, ...], sentence: str
):
    """One sentence that says what there is, and the exit code of a failure."""
    assert run(CAT, *words) == 2
    assert capsys.readouterr().err.startswith(f"se_viz: {sentence}")


def test_what_holds_for_every_image_is_said_once(
    quick_card: NetworkCard, quick_model: nn.Module, tmp_path: Path, capsys
):
    """A folder of photos would bury its table under one sentence."""
    blank = copy.deepcopy(quick_model)
    with torch.no_grad():
        blank.get_parameter("classifier.weight").zero_()
    save_checkpoint(blank, quick_card, tmp_path)
    words = [
        str(CAT),
        str(COFFEE),
        "--methods",
        "saliency",
        "--checkpoints",
        str(tmp_path),
        "--device",
        "cpu",
    ]
    assert main(["score", *words]) == 0
    errors = capsys.readouterr().err
    assert errors.count("This map is 0 everywhere") == 1
    assert "se_viz: every image: Saliency: " in errors
