"""Commands explain answers that are no logits, at a region or beside a second image."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from se_viz.__main__ import main
from se_viz.images import list_samples
from tests.support.answers import CODE
from tests.support.own_code import write_net

pytestmark = pytest.mark.slow

CAT, DOG = (str(sample.path) for sample in list_samples()[:2])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with code."""
    monkeypatch.chdir(tmp_path)
    write_net(tmp_path, "net.py", CODE)
    path = [*sys.path]
    yield tmp_path
    sys.path[:] = path


def words(make: str, answer: str) -> list[str]:
    return ["--network", f"net.py:{make}", "--answer", answer, "--input", "64", "--device", "cpu"]


def explain(*options: str, out: str = "maps") -> np.ndarray:
    """Write a map of the cat, and return it."""
    command = ["attribute", CAT, "--method", "saliency", "--target", "1", "--out", out]
    assert main([*command, *options]) == 0
    row = first_row(out)
    return np.load(Path(out) / str(row["map"]))["values"]


def first_row(out: str) -> dict[str, Any]:
    """Return the first row of a table of maps."""
    return pd.read_csv(Path(out) / "attributions.csv").to_dict("records")[0]


@pytest.mark.parametrize(("make", "answer"), [("segmenter", "segments"), ("ssd", "boxes")])
def test_a_region_has_a_map_of_its_own(make: str, answer: str):
    """Of another region it is another one."""
    own = words(make, answer)
    whole = explain(*own)
    part = explain(*own, "--region", "0,0,0.5,0.5", out="part")
    assert whole.shape == part.shape == (64, 64)
    assert not np.allclose(whole, part)


def test_an_embedding_is_compared_with_an_image():
    """Beside itself the similarity is 1, at its top: nothing moves it."""
    command = ["attribute", CAT, "--method", "saliency", "--out", "maps"]
    assert main([*command, *words("embedder", "embedding"), "--beside", CAT]) == 0
    same = first_row("maps")
    assert same["class"] == "similarity"
    assert same["logit"] == pytest.approx(1, abs=1e-5)
    command[-1] = "dog"
    assert main([*command, *words("embedder", "embedding"), "--beside", DOG]) == 0
    assert first_row("dog")["logit"] < 1


OTHERS = {
    "gates": (["--out", "gates.csv"], "gates.csv"),
    "health": ([], "net.regression, 1 image"),
    "counterfactuals": (["--kinds", "ones"], "SE_2_1"),
    "score": (["--methods", "saliency"], "Saliency"),
}


@pytest.mark.parametrize("command", OTHERS)
def test_every_command_takes_a_regression(command: str, capsys: pytest.CaptureFixture[str]):
    """A number without classes and without probabilities."""
    options, told = OTHERS[command]
    assert main([command, CAT, *options, *words("regression", "value")]) == 0
    assert told in capsys.readouterr().out


def test_a_value_is_told_as_it_is(capsys: pytest.CaptureFixture[str]):
    """No percent of nothing."""
    assert main(["gates", CAT, *words("regression", "value")]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.split(": ")[1].startswith("value ")
    assert "%" not in line


def test_code_that_picks_an_answer_is_named_beside_the_network():
    """In the same file, or in another one."""
    assert explain(*words("wrapped", "segments=net.py:pick")).shape == (64, 64)


REFUSED = {
    "--region 0,0,2,1": "argument --region: The region '0,0,2,1' is no rectangle in the image.",
    "--region 0,0,1": "argument --region: The region '0,0,1' is no rectangle in the image.",
    "--beside none.png": "none.png cannot be read: No such file or directory. Check the name.",
    f"--beside {DOG}": "compares no two images: its answer is no embedding.",
    "--answer box": "There is no kind of answer 'box'. Did you mean boxes",
    "--answer boxes=net.py:": "names no callable",
    "--answer segments=net.py:none": "net.py has no 'none'.",
    "--answer value": "Segmenter returns a dict, and a value is read of",
}


@pytest.mark.parametrize("options", REFUSED)
def test_what_cannot_be_read_is_told(options: str, capsys: pytest.CaptureFixture[str]):
    """One sentence on standard error, and 2."""
    own = words("segmenter", "segments")
    if options.startswith("--answer"):
        del own[2:4]
    try:
        status = main(["attribute", CAT, "--out", "maps", *own, *options.split()])
    except SystemExit as end:
        status = end.code
    assert status == 2
    errors = capsys.readouterr().err
    assert REFUSED[options] in errors
    assert "Traceback" not in errors


def test_an_embedding_needs_its_second_image(capsys: pytest.CaptureFixture[str]):
    """Without one nobody can tell what the number means."""
    assert main(["attribute", CAT, "--out", "maps", *words("embedder", "embedding")]) == 2
    assert "compared with a second image. Add --beside IMAGE." in capsys.readouterr().err


def test_a_region_of_plain_classes_is_told(capsys: pytest.CaptureFixture[str]):
    """It would be left out in silence otherwise."""
    write_net(Path(), "plain.py")
    command = ["attribute", CAT, "--out", "maps", "--network", "plain.py:make", "--input", "48"]
    assert main([*command, "--device", "cpu", "--region", "0,0,1,1"]) == 2
    assert "answers for the whole image, so that a region means" in capsys.readouterr().err


def test_a_list_names_answers(capsys: pytest.CaptureFixture[str]):
    """The same words as on the command line; a wrong one is told with its key."""
    text = '[networks.mask]\nmake = "net.py:segmenter"\ninput = 64\nanswer = "{}"\n'
    Path("se_viz.toml").write_text(text.format("segments"))
    command = ["attribute", CAT, "--method", "saliency", "--out", "maps", "--device", "cpu"]
    assert main([*command, "--network", "mask", "--region", "0,0,1,0.5"]) == 0
    Path("se_viz.toml").write_text(text.format("mask"))
    assert main([*command, "--network", "mask"]) == 2
    assert "networks.mask.answer: There is no kind of answer 'mask'" in capsys.readouterr().err
